/**
 * A small S3 server on a directory, for machines without one: path-style, one pair of credentials, SigV4 verified on every
 * request, durable before it answers 200. What it does not do it refuses in S3's own words.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { answerBucketRequest, answerServiceRequest } from './bucket-requests.ts'
import { createBucketStore } from './bucket-store.ts'
import { errorDocument, S3Error } from './errors.ts'
import { makeDirectory } from './files.ts'
import { answerObjectRequest } from './object-requests.ts'
import { readPayload } from './payload.ts'
import type { Answer, S3Stores } from './requests.ts'
import { type Credentials, verifySignature } from './signature.ts'
import { createUploads } from './uploads.ts'
import { elementsOf, textOf } from './xml.ts'

const MAX_CONNECTIONS = 512
const SWEEP_MS = 3_600_000
const DAY_MS = 86_400_000

export interface S3ServerOptions {
  /** Created when missing. */
  dir: string
  /** On 127.0.0.1; 0 is a free one. */
  port: number
  credentials: Credentials
  now?: () => Date
  /** Told about errors that are ours, with the request they belong to. */
  onError?: (error: unknown, request: string) => void
}

export interface S3Server extends AsyncDisposable {
  /** http://127.0.0.1:port */
  url: string
  port: number
  close(): Promise<void>
}

/** @throws Error when the port is taken or the directory unusable */
export async function startS3Server(options: S3ServerOptions): Promise<S3Server> {
  const { dir, credentials, now = () => new Date(), onError = () => {} } = options
  await makeDirectory(join(dir, 'tmp'))
  for (const name of await readdir(join(dir, 'tmp'))) await rm(join(dir, 'tmp', name), { force: true }) // of a killed run
  const store = createBucketStore(dir, now)
  const stores: S3Stores = { store, uploads: createUploads(dir, store, now) }
  const server = createServer({ requestTimeout: 600_000, headersTimeout: 30_000, keepAliveTimeout: 30_000 })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => void serve(request, response))
  server.on('checkContinue', (request, response) => void serve(request, response))
  server.listen(options.port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the S3 server has no port')
  const sweep = setInterval(() => void sweepUploads(stores, now()).catch((error) => onError(error, 'sweep')), SWEEP_MS)
  sweep.unref()

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomBytes(8).toString('hex').toUpperCase()
    response.setHeader('x-amz-request-id', requestId)
    response.setHeader('server', 'local-s3')
    let answer: Answer
    try {
      answer = await answerTo(request, response)
    } catch (error) {
      const known = error instanceof S3Error ? error : new S3Error('InternalError', 'We encountered an internal error.')
      if (known.status >= 500 && known.code !== 'NotImplemented') onError(error, `${request.method} ${request.url}`)
      const resource = (request.url ?? '/').split('?')[0] ?? '/'
      answer = {
        status: known.status,
        headers: { 'content-type': 'application/xml' },
        body: errorDocument(known, resource, requestId),
      }
      // What is left of a refused body is not worth reading.
      if (!request.complete) response.setHeader('connection', 'close')
    }
    await send(request, response, answer).catch((error) => {
      response.destroy()
      if (error?.code !== 'ERR_STREAM_PREMATURE_CLOSE') onError(error, `${request.method} ${request.url}`)
    })
  }

  async function answerTo(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const target = request.url ?? '/'
    const at = target.indexOf('?')
    const [rawPath, rawQuery] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)]
    const method = request.method ?? ''
    const verified = verifySignature({ method, rawPath, rawQuery, headers: request.headers }, credentials, now())
    if (request.headers.expect !== undefined) response.writeContinue()
    const [bucket = '', key = ''] = splitPath(rawPath)
    const s3Request = {
      method,
      bucket,
      query: new URLSearchParams(rawQuery),
      headers: request.headers,
      payload: (maxBytes: number) => readPayload(request, request.headers, verified, maxBytes),
    }
    if (bucket === '') return answerServiceRequest(s3Request, stores)
    if (key === '') return answerBucketRequest(s3Request, stores)
    await store.bucket(bucket)
    return answerObjectRequest(s3Request, key, stores)
  }

  const close = async (): Promise<void> => {
    clearInterval(sweep)
    const closed = once(server, 'close')
    server.close()
    server.closeIdleConnections()
    const force = setTimeout(() => server.closeAllConnections(), 2_000)
    await closed
    clearTimeout(force)
  }
  return { url: `http://127.0.0.1:${address.port}`, port: address.port, close, [Symbol.asyncDispose]: close }
}

/** "/bucket/some%20key" → ["bucket", "some key"] */
function splitPath(rawPath: string): [string, string] {
  let path: string
  try {
    path = decodeURIComponent(rawPath)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.")
  }
  const at = path.indexOf('/', 1)
  return at < 0 ? [path.slice(1), ''] : [path.slice(1, at), path.slice(at + 1)]
}

async function send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  try {
    response.statusCode = answer.status
    for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value)
    if (request.method === 'HEAD' || answer.status === 304 || answer.body === undefined) {
      if (answer.body === undefined && answer.status === 200) response.setHeader('content-length', 0)
      if (request.method === 'HEAD' && typeof answer.body === 'string') {
        response.setHeader('content-length', Buffer.byteLength(answer.body))
      }
      response.end()
    } else if (typeof answer.body === 'string') {
      response.setHeader('content-length', Buffer.byteLength(answer.body))
      response.end(answer.body)
    } else {
      await pipeline(Readable.from(answer.body, { objectMode: false }), response)
    }
  } finally {
    await answer.after?.[Symbol.asyncDispose]()
  }
}

/** Carries out the lifecycle rules that are kept: AbortIncompleteMultipartUpload. */
async function sweepUploads({ store, uploads }: S3Stores, now: Date): Promise<void> {
  for (const { name } of await store.listBuckets()) {
    const document = (await store.readConfiguration(name, 'lifecycle')) ?? ''
    for (const rule of elementsOf(document, 'AbortIncompleteMultipartUpload')) {
      const days = Number(textOf(rule, 'DaysAfterInitiation'))
      if (days > 0) await uploads.abortBefore(name, now.getTime() - days * DAY_MS)
    }
  }
}
