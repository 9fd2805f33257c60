/** What a MailServer wishes of its bucket, and the S3 client for it. Any S3-compatible service will do. */

import { Agent as HttpsAgent } from 'node:https'
import { Client } from 'minio'
import { boundedTransport } from './transport.ts'

export interface BucketWishes {
  /** http(s)://host[:port] */
  endpoint: string
  region: string
  bucket: string
  /** '' or ending in '/'. */
  prefix: string
  pathStyle: boolean
  versioning: boolean
  encryption: 'None' | 'AES256'
  /** Whose it is: "namespace/name". */
  owner: string
  /** Mail of the owner is in it already: where nothing of the owner's is, that is lost and not new. */
  holdsMail: boolean
  accessKey: string
  secretKey: string
  /** PEM bundle of a private CA. */
  ca?: string | undefined
}

/**
 * Each request is bounded in time and in the size of its answer.
 * @param signal ends the requests that are under way, too
 * @throws Error for an endpoint that is no URL
 */
export function openBucketClient(wishes: BucketWishes, signal?: AbortSignal): Client {
  const url = new URL(wishes.endpoint)
  const secure = url.protocol === 'https:'
  return new Client({
    endPoint: url.hostname.replace(/^\[|\]$/g, ''),
    useSSL: secure,
    accessKey: wishes.accessKey,
    secretKey: wishes.secretKey,
    region: wishes.region,
    pathStyle: wishes.pathStyle,
    transport: boundedTransport(secure, signal),
    ...(url.port ? { port: Number(url.port) } : {}),
    ...(secure && wishes.ca ? { transportAgent: new HttpsAgent({ ca: wishes.ca }) } : {}),
  })
}
