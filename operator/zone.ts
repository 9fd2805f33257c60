/**
 * `npm run dns -- [-n NAMESPACE] [NAME]`: the records of a MailServer as a zone file, from its status in the cluster that
 * KUBECONFIG names. With `-f FILE` without a cluster: then the DKIM keys are placeholders.
 */

import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { MailServerResource } from './api/group.ts'
import type { MailServer } from './api/mail-server.ts'
import type { DnsRecord } from './dns/records.ts'
import { zoneFile } from './dns/zone.ts'
import { createKubeClient, loadKubeConfig } from './kube/client.ts'
import { recordsOf } from './mailserver/desired/dns-endpoint.ts'
import { contextsOf } from './render.ts'

/**
 * @param yaml with one MailServer or more
 * @throws InvalidSpec naming the fields
 */
export function zoneOfFile(yaml: string, addresses: readonly string[]): string {
  return contextsOf(yaml, { image: '', addresses })
    .map(({ spec, facts }) => zoneFile(recordsOf(spec, facts), spec.dns.ttlSeconds))
    .join('\n')
}

/** What status.dns lists; empty while the operator has not looked at the server. */
export function zoneOfServer({ spec, status }: MailServer): string {
  return zoneFile((status?.dns?.records ?? []) as DnsRecord[], spec.dns.ttlSeconds)
}

async function zoneFromCluster(namespace: string, name: string | undefined): Promise<string> {
  await using client = createKubeClient({ kubeConfig: loadKubeConfig(), userAgent: 'mail-operator-dns/0.1.0' })
  if (name) return zoneOfServer(await client.get<MailServer>(MailServerResource, { namespace, name }))
  const { items } = await client.list<MailServer>(MailServerResource, { namespace })
  if (items.length === 0) throw new Error(`there is no MailServer in namespace ${namespace}`)
  return items.map(zoneOfServer).join('\n')
}

if (import.meta.main) {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        file: { type: 'string', short: 'f' },
        namespace: { type: 'string', short: 'n', default: 'default' },
        address: { type: 'string', multiple: true, default: [] },
      },
    })
    const text = values.file
      ? zoneOfFile(await readFile(values.file, 'utf8'), values.address)
      : await zoneFromCluster(values.namespace, positionals[0])
    process.stdout.write(text)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
