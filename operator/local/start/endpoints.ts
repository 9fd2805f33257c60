/** `.local/endpoints.json`: where everything is, for people's scripts, the end-to-end test and the benchmarks. */
import { rmSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '../../kube/resources.ts'
import type { KubeClient } from '../../kube/types.ts'
import type { Runner } from '../runner/runner.ts'
import type { MailAccountObject, MailServerObject } from './readiness.ts'

export interface Endpoint {
  host: string
  port: number
}

export interface Endpoints {
  kubeconfig: string
  smtp: Endpoint
  submissions: Endpoint
  submission: Endpoint
  imaps: Endpoint
  /** JMAP, admin, health. */
  http: Endpoint
  /** GET /metrics: all Ready Pods on one page. */
  metrics: Endpoint
  accounts: { address: string; password: string }[]
  /** PEM of the authority that signed the server's certificate. */
  caFile: string
}

const HOST = '127.0.0.1'

/**
 * Gathers the endpoints of the first MailServer and its accounts; writes its CA to `<directory>/ca.crt`.
 * @throws Error when a Secret that must be there is not
 */
export async function gatherEndpoints(
  client: KubeClient,
  runner: Pick<Runner, 'localPorts' | 'metricsPort'>,
  server: MailServerObject,
  accounts: readonly MailAccountObject[],
  { directory, kubeconfig }: { directory: string; kubeconfig: string },
): Promise<Endpoints> {
  const { name, namespace = '' } = server.metadata
  const mail = runner.localPorts({ namespace, name })
  const http = runner.localPorts({ namespace, name: `${name}-http` })
  const at = (port: number | undefined): Endpoint => ({ host: HOST, port: port ?? 0 })
  const caFile = join(directory, 'ca.crt')
  await writeFile(caFile, await certificateAuthority(client, server), { mode: 0o600 })
  const passwords: Endpoints['accounts'] = []
  for (const account of accounts) {
    if (account.spec?.serverRef?.name !== name || account.metadata.namespace !== namespace) continue
    const reference = account.spec.passwordSecretRef ?? account.status?.passwordSecretRef
    const secret = reference && (await client.find(Secret, { namespace, name: reference.name }))
    const password = secret?.data?.[reference?.key ?? 'password']
    if (password === undefined) throw new Error(`no password for ${account.spec.address}`)
    passwords.push({ address: account.spec.address ?? '', password: Buffer.from(password, 'base64').toString('utf8') })
  }
  return {
    kubeconfig,
    smtp: at(mail.smtp),
    submissions: at(mail.smtps),
    submission: at(mail.submission),
    imaps: at(mail.imaps),
    http: at(http.http),
    metrics: at(runner.metricsPort),
    accounts: passwords,
    caFile,
  }
}

async function certificateAuthority(client: KubeClient, server: MailServerObject): Promise<string> {
  const { name, namespace = '' } = server.metadata
  const given = (server.spec as { tls?: { secretName?: string } } | undefined)?.tls?.secretName
  const secret = await client.find(Secret, { namespace, name: given ?? `${name}-tls` })
  const pem = secret?.data?.['ca.crt'] ?? secret?.data?.['tls.crt']
  return pem ? Buffer.from(pem, 'base64').toString('utf8') : ''
}

export async function writeEndpoints(path: string, endpoints: Endpoints): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

export function removeEndpoints(path: string): void {
  rmSync(path, { force: true })
}
