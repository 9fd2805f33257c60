/**
 * One HTTP request to the API server and what may go wrong with it: deadline, size bound, rate limit, Retry-After,
 * a second try after 401 with fresh credentials, and a few retries where repeating is harmless.
 */

import type { Dispatcher } from 'undici'
import type { Connection } from './connection.ts'
import { connectionError, deadlineError, isKubeError, KubeError, kubeErrorOf } from './errors.ts'
import { type Fence, NotLeading } from './fence.ts'
import type { KubeMetrics } from './metrics.ts'
import { delay, type RateLimit } from './rate-limit.ts'

/** A response larger than this ends the call: pages are small, and one object is at most about 3 MiB. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024
/** An error answer is a Status; whatever a proxy sends beyond this is not worth reading. */
const MAX_ERROR_BYTES = 256 * 1024
const MAX_ATTEMPTS = 4
/** A longer Retry-After is passed on to the caller, whose work queue waits better than we do. */
const MAX_RETRY_WAIT_MS = 10_000

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | (string & {})
  /** Path and query, starting with /api or /apis. */
  path: string
  body?: string
  contentType?: string
  /** What is being done, for errors: "apply secrets mail/stalwart". */
  call: string
  /** kubectl's verb, for metrics: get, list, watch, create, update, patch, apply, delete. */
  verb: string
  /** Repeating after a lost answer does no harm. */
  idempotent: boolean
  /** The body or the answer holds secret values: error texts may quote them. */
  secret?: boolean
  signal?: AbortSignal
}

/** Sends requests; `send` answers parsed JSON (or the text, where the answer is not JSON), `open` the running body. */
export interface Requester {
  send(request: ApiRequest): Promise<unknown>
  /** For watches: resolves once the headers are in; the deadline covers only that. The caller reads and ends the body. */
  open(request: ApiRequest): Promise<Dispatcher.ResponseData['body']>
}

export interface RequesterOptions {
  connection: Connection
  rateLimit: RateLimit
  userAgent: string
  /** For one attempt, from sending to the last byte. */
  deadlineMs: number
  metrics?: KubeMetrics | undefined
  /** Asked before every attempt that is no GET. */
  fence?: Fence | undefined
  /** Aborted when the client is closed. */
  closed: AbortSignal
  random?: () => number
}

export function createRequester(options: RequesterOptions): Requester {
  const { connection, rateLimit, userAgent, deadlineMs, metrics, fence, closed } = options
  const random = options.random ?? Math.random

  async function attempt<R>(
    request: ApiRequest,
    read: (response: Dispatcher.ResponseData) => Promise<R>,
    streaming: boolean,
  ): Promise<R> {
    const stops = request.signal ? [closed, request.signal] : [closed]
    const outer = AbortSignal.any(stops)
    const waitingSince = performance.now()
    await rateLimit.take(outer)
    if (request.method !== 'GET') fence?.()
    const started = performance.now()
    metrics?.rateLimiterSeconds.observe({ verb: request.verb, host: connection.host }, (started - waitingSince) / 1000)
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(deadlineError(request.call, deadlineMs)), deadlineMs)
    const signal = AbortSignal.any([outer, deadline.signal])
    let code = '<error>' // client-go's word for a call without an answer
    try {
      const target = await connection.target()
      const headers: Record<string, string> = { ...target.headers, accept: 'application/json', 'user-agent': userAgent }
      if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json'
      const response = await target.dispatcher.request({
        origin: target.origin,
        path: target.basePath + request.path,
        method: request.method as Dispatcher.HttpMethod,
        headers,
        body: request.body ?? null,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      code = String(response.statusCode)
      if (response.statusCode >= 300) throw await refusal(request, response)
      return await read(response)
    } catch (error) {
      if (error instanceof KubeError) throw error
      if (deadline.signal.aborted) throw deadline.signal.reason
      throw connectionError(request.call, outer.aborted ? new Error('the call was cancelled') : error)
    } finally {
      clearTimeout(timer)
      metrics?.requests.inc({ code, method: request.method, host: connection.host })
      if (!streaming) {
        metrics?.requestSeconds.observe({ verb: request.verb, host: connection.host }, secondsSince(started))
      }
    }
  }

  async function withRetries<R>(
    request: ApiRequest,
    read: (response: Dispatcher.ResponseData) => Promise<R>,
    streaming: boolean,
  ): Promise<R> {
    let reauthenticated = false
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt(request, read, streaming)
      } catch (error) {
        if (closed.aborted || request.signal?.aborted || error instanceof NotLeading) throw error
        if (isKubeError(error, 'Unauthorized') && !reauthenticated) {
          // A rotated token looks like this. Once; if the fresh one is refused too, it is not ours to fix.
          reauthenticated = true
          connection.reauthenticate()
          continue
        }
        const wait = attempts < MAX_ATTEMPTS ? retryWaitMs(error, request, attempts, random) : undefined
        if (wait === undefined) throw error
        await delay(wait, request.signal ? AbortSignal.any([closed, request.signal]) : closed).catch(() => {
          throw error
        })
      }
    }
  }

  return {
    send: (request) =>
      withRetries(
        request,
        async (response) => parsed(await boundedText(response, MAX_RESPONSE_BYTES, request.call)),
        false,
      ),
    open: (request) => withRetries(request, async (response) => response.body, true),
  }
}

/** Milliseconds until the next try; undefined when there should be none. */
function retryWaitMs(error: unknown, request: ApiRequest, attempts: number, random: () => number): number | undefined {
  if (!isKubeError(error)) return undefined
  // 429 and anything with Retry-After was turned away before it did anything (client-go rest/with_retry.go).
  if (error.retryAfterMs !== undefined || error.kind === 'TooManyRequests') {
    const asked = error.retryAfterMs ?? 1000
    return asked <= MAX_RETRY_WAIT_MS ? asked + random() * 100 : undefined
  }
  // No answer at all: only what may be done twice is done again.
  if (error.code === 0 && error.kind === 'Transient' && request.idempotent)
    return 100 * 2 ** attempts * (0.5 + random())
  return undefined
}

async function refusal(request: ApiRequest, response: Dispatcher.ResponseData): Promise<KubeError> {
  const text = await boundedText(response, MAX_ERROR_BYTES, request.call)
  const options: { secret?: boolean; retryAfterMs?: number } = {}
  if (request.secret) options.secret = true
  const retryAfterMs = retryAfter(response.headers['retry-after'])
  if (retryAfterMs !== undefined) options.retryAfterMs = retryAfterMs
  let body: unknown = text
  try {
    body = JSON.parse(text)
  } catch {
    // Plain text, as "404 page not found" for a group that is not served.
  }
  return kubeErrorOf(request.call, response.statusCode, body, options)
}

/** Retry-After in seconds (RFC 9110 §10.2.3); the API server never sends the date form. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  const seconds = Number(Array.isArray(header) ? header[0] : header)
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

async function boundedText(response: Dispatcher.ResponseData, limit: number, call: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit)
      throw new KubeError(`${call}: the answer is larger than ${limit} bytes`, { kind: 'TooLarge', code: 0 })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** JSON where it is JSON; /healthz and /metrics answer text. A cut body throws and so becomes a connection error. */
function parsed(text: string): unknown {
  const first = text.trimStart()[0]
  return first === '{' || first === '[' ? JSON.parse(text) : text
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000
}
