/** For tests: S3 services of several makes, and one between them and the client that answers some requests itself. */

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request as forward, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { isBuilt, tool } from '../../../test/cluster-tool.ts'
import { freePorts } from '../../local/free-port.ts'
import { openProcessTable } from '../../local/runner/process-table.ts'
import { startMinio } from '../../local/s3/minio.ts'
import { startS3Server } from '../../local/s3/server.ts'
import { type BucketWishes, openBucketClient } from '../client.ts'

export interface S3Service {
  name: string
  url: string
  accessKey: string
  secretKey: string
  /** Whether buckets can have versions. */
  versions: boolean
}

/**
 * The local S3 server, a real MinIO where this machine has one, and any other that S3_UNDER_TEST
 * (http://key:secret@host:port) names. They end with the test file.
 */
export async function s3Services(): Promise<S3Service[]> {
  const directory = await mkdtemp(join(tmpdir(), 's3-services-'))
  const credentials = { accessKey: 'access', secretKey: 'secret-key' }
  const local = await startS3Server({ dir: join(directory, 'local'), port: 0, credentials })
  const services: S3Service[] = [{ name: 'local', url: local.url, ...credentials, versions: false }]
  const stops = [() => local.close()]
  if (isBuilt('minio')) {
    const [port = 0] = await freePorts(1)
    const minio = await startMinio({
      program: tool('minio'),
      dir: join(directory, 'minio'),
      port,
      credentials,
      table: openProcessTable(join(directory, 'processes')),
      logPath: join(directory, 'minio.log'),
    })
    services.push({ name: 'MinIO', url: minio.url, ...credentials, versions: true })
    stops.push(minio.stop)
  }
  const given = process.env.S3_UNDER_TEST ? new URL(process.env.S3_UNDER_TEST) : undefined
  if (given) {
    const { origin: url, username: accessKey, password: secretKey } = given
    services.push({ name: given.host, url, accessKey, secretKey, versions: true })
  }
  after(async () => {
    for (const stop of stops) await stop()
    await rm(directory, { recursive: true, force: true })
  })
  return services
}

/** A bucket of its own at a service. */
export function wishesAt(service: S3Service, more: Partial<BucketWishes> = {}): BucketWishes {
  return {
    endpoint: service.url,
    region: 'us-east-1',
    bucket: `bucket-${randomBytes(6).toString('hex')}`,
    prefix: '',
    pathStyle: true,
    versioning: false,
    encryption: 'None',
    owner: 'communication/stalwart',
    holdsMail: false,
    accessKey: service.accessKey,
    secretKey: service.secretKey,
    ...more,
  }
}

/** Keys as a listing shows them. */
export async function keysOf({ bucket, ...rest }: BucketWishes): Promise<(string | undefined)[]> {
  const keys: (string | undefined)[] = []
  for await (const item of openBucketClient({ bucket, ...rest }).listObjectsV2(bucket, '', true)) keys.push(item.name)
  return keys
}

/** Versions and delete markers that a bucket keeps. */
export async function versionsOf(wishes: BucketWishes): Promise<number> {
  const options = { Delimiter: '', MaxKeys: 1000, IncludeVersion: true }
  return (await openBucketClient(wishes).listObjectsQuery(wishes.bucket, '', '', options)).objects.length
}

export interface Refused {
  status: number
  /** An S3 error code, or a whole document. */
  body: string
}

export interface Between {
  url: string
  /** "GET /bucket?lifecycle=" of every request that came. */
  requests: string[]
}

/** A service that is another one but for some requests. @param answer undefined passes the request on */
export async function between(
  service: S3Service,
  answer: (request: string) => Refused | undefined,
): Promise<S3Service & Between> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const text = `${request.method} ${request.url}`
    requests.push(text)
    const own = answer(text)
    if (own) {
      request.resume()
      const document = own.body.startsWith('<')
        ? own.body
        : `<Error><Code>${own.body}</Code><Message>no</Message></Error>`
      response.writeHead(own.status, { 'content-type': 'application/xml' }).end(document)
      return
    }
    // With the Host that was signed.
    const { method, url: path, headers } = request
    const { hostname: host, port } = new URL(service.url)
    const passed = forward({ host, port, method, path, headers }, (answered: IncomingMessage) => {
      response.writeHead(answered.statusCode ?? 502, answered.headers)
      answered.pipe(response)
    })
    passed.on('error', () => response.destroy())
    request.pipe(passed)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { ...service, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}
