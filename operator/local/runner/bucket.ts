/** The object store's part: one S3 endpoint on a directory, and the credentials Secret of each MailServer that asks for S3. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubeLogger } from '../../kube/logger.ts'
import { Secret } from '../../kube/resources.ts'
import type { KubeClient, KubeObject, ObjectKey, Resource } from '../../kube/types.ts'
import { freePorts, isFree } from '../free-port.ts'
import { startMinio } from '../s3/minio.ts'
import { startS3Server } from '../s3/server.ts'
import type { Credentials } from '../s3/signature.ts'
import type { ProcessTable } from './process-table.ts'

export const MailServer: Resource = {
  group: 'mail.openova.io',
  version: 'v1alpha1',
  kind: 'MailServer',
  plural: 'mailservers',
  namespaced: true,
}

/** On Secrets that we made: their endpoint follows ours. */
const OURS = { 'app.kubernetes.io/managed-by': 'local-runner' }

export interface ObjectStore {
  /** http://127.0.0.1:port */
  endpoint: string
  credentials: Credentials
  stop(): Promise<void>
}

/**
 * Starts `minio` where there is one, else our own server. Port and credentials are kept from run to run.
 * @param minio path of the program, undefined when there is none
 */
export async function startObjectStore(
  directory: string,
  deps: { minio: string | undefined; table: ProcessTable; logger: KubeLogger; logPath: string },
): Promise<ObjectStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'endpoint.json')
  const before = await readFile(path, 'utf8').then(JSON.parse, () => undefined)
  const credentials: Credentials = before?.credentials ?? {
    accessKey: randomBytes(10).toString('hex'),
    secretKey: randomBytes(24).toString('base64url'),
  }
  const [free = 0] = await freePorts(1)
  const port: number = before?.port && (await isFree(before.port)) ? before.port : free
  await writeFile(path, JSON.stringify({ port, credentials }), { mode: 0o600 })
  // The two keep their data in different forms: whichever was first stays, or the mail would seem to be gone.
  const program: 'minio' | 'own' = before?.program ?? (deps.minio ? 'minio' : 'own')
  await writeFile(path, JSON.stringify({ port, credentials, program }), { mode: 0o600 })
  if (program === 'minio') {
    if (!deps.minio)
      throw new Error('the bucket was made by minio, which is not on PATH any more; use --fresh or install it')
    const minio = await startMinio({ ...deps, program: deps.minio, dir: join(directory, 'minio'), port, credentials })
    return { endpoint: minio.url, credentials, stop: minio.stop }
  }
  const server = await startS3Server({
    dir: join(directory, 'data'),
    port,
    credentials,
    onError: (error, request) => deps.logger.error({ err: error, request }, 's3 request failed'),
  })
  return { endpoint: server.url, credentials, stop: server.close }
}

interface MailServerSpec {
  storage?: { s3?: { credentialsSecretRef?: { name?: string } } }
}

/** Gives a MailServer with S3 storage its credentials, unless they are there. */
export async function reconcileBucketSecret(
  key: ObjectKey,
  { client, store }: { client: KubeClient; store: ObjectStore },
): Promise<undefined> {
  const server = await client.find<KubeObject<MailServerSpec>>(MailServer, key)
  const name = server?.spec?.storage?.s3?.credentialsSecretRef?.name
  if (!name || server?.metadata.deletionTimestamp) return
  const at = { namespace: key.namespace, name }
  const secret = await client.find(Secret, at)
  const data = encoded({ ...store.credentials, endpoint: store.endpoint })
  if (!secret) {
    await client.create(Secret, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...at, labels: OURS },
      type: 'Opaque',
      data,
    })
    return
  }
  const ours = Object.entries(OURS).every(([label, value]) => secret.metadata.labels?.[label] === value)
  const current = Object.entries(data).every(([field, value]) => secret.data?.[field] === value)
  if (ours && !current) await client.mergePatch(Secret, at, { data })
}

function encoded(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]))
}
