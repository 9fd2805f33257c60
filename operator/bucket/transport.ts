/**
 * HTTP to an S3 service that may be anybody's: a tenant names the endpoint, so each request ends by itself, whatever the
 * other side sends or does not send.
 */

import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'
import type { ClientOptions } from 'minio'

/** A request with its whole answer. */
const REQUEST_MS = 10_000
/** Deleting a page of objects: a service on slow disks takes its time. */
const DELETE_PAGE_MS = 60_000
/** Above any page of a listing: 1,000 keys of 1 KiB, each letter escaped. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

export type Transport = NonNullable<ClientOptions['transport']>

/** @param signal ends every request at once, with its reason as the error */
export function boundedTransport(secure: boolean, signal?: AbortSignal): Transport {
  const send = secure ? requestHttps : requestHttp
  /** The only form the client calls. */
  const request = (options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest => {
    let answer: IncomingMessage | undefined
    const end = (error: Error) => (answer ?? sent).destroy(error)
    const limitMs = options.method === 'POST' ? DELETE_PAGE_MS : REQUEST_MS
    const timer = setTimeout(() => end(new Error(`no answer within ${limitMs / 1000} s`)), limitMs)
    const aborted = () => end(signal?.reason)
    const sent = send(options, (response) => {
      answer = response
      // Whoever has its answer from the status alone never listens; an error without a listener ends the process.
      response.on('error', () => {})
      boundSize(response)
      onResponse(response)
    })
    sent.once('close', () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
    })
    if (signal?.aborted) aborted()
    else signal?.addEventListener('abort', aborted)
    return sent
  }
  return { request: request as Transport['request'] }
}

/** At the parser's end of the stream: the client gathers whole answers, and a look from outside would come too late. */
function boundSize(response: IncomingMessage): void {
  const push = response.push.bind(response)
  let size = 0
  response.push = (chunk: Uint8Array | string | null, encoding?: BufferEncoding) => {
    size += chunk?.length ?? 0
    if (size <= MAX_ANSWER_BYTES) return push(chunk, encoding)
    response.destroy(new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`))
    return false
  }
}
