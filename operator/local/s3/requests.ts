/** What the handlers of S3 requests get, and what they give back. */
import type { IncomingHttpHeaders } from 'node:http'
import type { BucketStore } from './bucket-store.ts'
import type { Uploads } from './uploads.ts'

/** A request whose signature is verified. */
export interface S3Request {
  method: string
  bucket: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** The decoded and checked body, see readPayload. */
  payload(maxBytes: number): AsyncGenerator<Buffer>
}

export interface S3Stores {
  store: BucketStore
  uploads: Uploads
}

export interface Answer {
  status: number
  headers?: Record<string, string | number>
  body?: string | AsyncGenerator<Buffer>
  /** Disposed of when the body is sent, or not. */
  after?: AsyncDisposable
}

/** 200 with an S3 document. `inner` is XML. */
export function xmlAnswer(root: string, inner: string): Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${root}>`
  return { status: 200, headers: { 'content-type': 'application/xml' }, body }
}
