/**
 * Requests to the bucket: credentials and CA from files that may change, a deadline for each request, a bounded number of
 * attempts, and errors that say what is wrong.
 */
import { readFile, stat } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { Client } from 'minio'
import type { StorageConfig } from '../config.ts'
import { Unavailable } from '../db/database.ts'

export type BucketConfig = Extract<StorageConfig, { driver: 's3' }>

const ATTEMPTS = 3
const RETRY_DELAY_MS = 100
/** For a request and its answer, bodies included; large bodies get more. */
const REQUEST_DEADLINE_MS = 10_000
const SLOWEST_BYTES_PER_SECOND = 1_000_000
/** How old the look at the credential files may be. */
const FILES_LOOK_MS = 1_000
const MAX_SOCKETS = 64
/** The server does not know us, or not any more: the Secret may just have changed. */
const CREDENTIAL_ERRORS = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AccessDenied', 'ExpiredToken'])

export interface BucketClient extends Disposable {
  /**
   * Runs a request, again when that may help.
   * @param bytes about how much goes over the wire, for the deadline
   * @throws Unavailable with the reason; the errors named in `expected` (S3 codes) as they are
   */
  run<T>(request: (client: Client) => Promise<T>, options?: { bytes?: number; expected?: string[] }): Promise<T>
}

interface Files {
  accessKey: string
  secretKey: string
  ca: string | undefined
  signature: string
}

/** @param rootDirectory what the paths in the configuration are relative to */
export function createBucketClient(config: BucketConfig, rootDirectory: string): BucketClient {
  let current: { client: Client; files: Files; agent: http.Agent } | undefined
  let lookedAt = 0
  const paths = [
    join(rootDirectory, config.credentialsDir, 'accessKey'),
    join(rootDirectory, config.credentialsDir, 'secretKey'),
    ...(config.caFile === undefined ? [] : [join(rootDirectory, config.caFile)]),
  ]

  async function client(fresh: boolean): Promise<Client> {
    if (current && !fresh && Date.now() - lookedAt < FILES_LOOK_MS) return current.client
    lookedAt = Date.now()
    const signature = await signatureOf(paths)
    if (current?.files.signature === signature) return current.client
    const files = await readFiles(paths, signature)
    current?.agent.destroy()
    current = { files, ...connect(config, files) }
    return current.client
  }

  return {
    async run(request, { bytes = 0, expected = [] } = {}) {
      const deadlineMs = REQUEST_DEADLINE_MS + (bytes / SLOWEST_BYTES_PER_SECOND) * 1000
      for (let attempt = 1; ; attempt++) {
        try {
          return await withDeadline(request(await client(attempt > 1)), deadlineMs)
        } catch (error) {
          const code = codeOf(error)
          if (code !== undefined && expected.includes(code)) throw error
          if (error instanceof Unavailable) throw error
          if (attempt >= ATTEMPTS || !mayHelp(error, code)) throw unavailable(config.bucket, error)
          await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS * attempt * (0.5 + Math.random())))
        }
      }
    },
    [Symbol.dispose]() {
      current?.agent.destroy()
    },
  }
}

function connect(config: BucketConfig, { accessKey, secretKey, ca }: Files): { client: Client; agent: http.Agent } {
  const url = new URL(config.endpoint)
  const useSSL = url.protocol === 'https:'
  // A socket that is silent for so long is dead; the deadline has answered the caller by then.
  const agentOptions = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: REQUEST_DEADLINE_MS * 6 }
  const agent = useSSL
    ? new https.Agent({ ...agentOptions, ...(ca !== undefined && { ca }) })
    : new http.Agent(agentOptions)
  const client = new Client({
    endPoint: url.hostname.replace(/^\[|\]$/g, ''),
    ...(url.port !== '' && { port: Number(url.port) }),
    useSSL,
    region: config.region,
    pathStyle: config.pathStyle,
    accessKey,
    secretKey,
    transportAgent: agent,
    // Ours are bounded in time, and do not write to the console.
    retryOptions: { disableRetry: true },
  })
  return { client, agent }
}

async function signatureOf(paths: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
        () => 'absent',
      ),
    ),
  )
  return parts.join('\n')
}

/** One after the other: of several that are missing, the error always names the first. */
async function readFiles(paths: readonly string[], signature: string): Promise<Files> {
  const texts: string[] = []
  for (const path of paths) {
    texts.push(
      await readFile(path, 'utf8').catch((cause) => {
        throw new Unavailable(`bucket: cannot read ${path}`, { cause })
      }),
    )
  }
  const [accessKey = '', secretKey = '', ca] = texts
  return { accessKey: accessKey.trim(), secretKey: secretKey.trim(), ca, signature }
}

function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Unavailable(`bucket: no answer within ${deadlineMs} ms`)), deadlineMs)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

/** Network errors have a code of Node's, server errors a 5xx without a code of S3's; both pass. */
function mayHelp(error: unknown, code: string | undefined): boolean {
  if (code !== undefined && CREDENTIAL_ERRORS.has(code)) return true
  if (code === 'SlowDown' || code === 'InternalError' || code === 'ServiceUnavailable') return true
  if (code !== undefined) return /^E[A-Z]+/.test(code)
  return error instanceof Error && /Retryable HTTP status|Request failed after|socket hang up/.test(error.message)
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' && error.code !== '' ? error.code : undefined
}

function unavailable(bucket: string, error: unknown): Unavailable {
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : String(error)
  return new Unavailable(`bucket ${bucket}: ${code === undefined || text.includes(code) ? text : `${code}: ${text}`}`, {
    cause: error,
  })
}
