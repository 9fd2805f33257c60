/**
 * The bucket that holds message bytes: made when missing, adopted when empty or marked as this server's, configured.
 * Any S3-compatible service will do; what one of them does not know and nobody asked for is left out.
 */

import { Agent as HttpsAgent } from 'node:https'
import { Client } from 'minio'
import { type BucketTrouble, troubleOf } from './trouble.ts'

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
  accessKey: string
  secretKey: string
  /** PEM bundle of a private CA. */
  ca?: string | undefined
}

export type BucketState = { ok: true; message: string } | ({ ok: false } & BucketTrouble)

/** One request of the client; its own default is far longer than anybody should wait. */
const REQUEST_MS = 10_000
const LIFECYCLE_ID = 'mail-operator-abort-incomplete-uploads'
const ABORT_AFTER_DAYS = 7

/** Marks a bucket (or a prefix in one) as a server's. Not under the engine's own keys. */
export const markerKey = (prefix: string) => `${prefix}.mail-operator-owner`

/**
 * Brings the bucket to what is wished for. Never throws: what is in the way is the answer.
 * @param signal ends the work between two requests
 */
export async function ensureBucket(wishes: BucketWishes, signal?: AbortSignal): Promise<BucketState> {
  const { bucket, region } = wishes
  try {
    const client = openBucketClient(wishes)
    const notes: string[] = []
    if (!(await inTime(client.bucketExists(bucket)))) {
      await inTime(client.makeBucket(bucket, region)).catch((error: unknown) => {
        if (troubleOf(error).code !== 'BucketAlreadyOwnedByYou') throw error
      })
      notes.push('made')
    }
    signal?.throwIfAborted()
    const foreign = await claim(client, wishes)
    if (foreign) return { ok: false, ...foreign }
    signal?.throwIfAborted()
    if (wishes.versioning) await enableVersioning(client, bucket)
    if (wishes.encryption === 'AES256') {
      const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }
      await inTime(client.setBucketEncryption(bucket, { Rule: [rule] }))
    }
    await abortIncompleteUploads(client, bucket)
    return { ok: true, message: `bucket ${bucket} at ${wishes.endpoint} answers` }
  } catch (error) {
    const { reason, message, code } = troubleOf(error)
    return { ok: false, reason, code, message: `bucket ${bucket} at ${wishes.endpoint}: ${message}` }
  }
}

/** @throws Error for an endpoint that is no URL */
export function openBucketClient(wishes: BucketWishes): Client {
  const url = new URL(wishes.endpoint)
  const secure = url.protocol === 'https:'
  return new Client({
    endPoint: url.hostname.replace(/^\[|\]$/g, ''),
    useSSL: secure,
    accessKey: wishes.accessKey,
    secretKey: wishes.secretKey,
    region: wishes.region,
    pathStyle: wishes.pathStyle,
    ...(url.port ? { port: Number(url.port) } : {}),
    ...(secure && wishes.ca ? { transportAgent: new HttpsAgent({ ca: wishes.ca }) } : {}),
  })
}

/** Makes the bucket ours, or says whose it is. */
async function claim(client: Client, { bucket, prefix, owner }: BucketWishes): Promise<BucketTrouble | undefined> {
  const marked = await readMarker(client, bucket, prefix)
  if (marked === owner) return undefined
  if (marked !== undefined) {
    return {
      reason: 'BucketNotOurs',
      code: 'Marked',
      message: `bucket ${bucket} belongs to MailServer ${marked} (object ${markerKey(prefix)} says so)`,
    }
  }
  if (!(await isEmpty(client, bucket, prefix))) {
    return {
      reason: 'BucketNotOurs',
      code: 'NotEmpty',
      message: `bucket ${bucket} holds objects of somebody else; to adopt it, put "${owner}" into object ${markerKey(prefix)}`,
    }
  }
  await inTime(client.putObject(bucket, markerKey(prefix), owner))
  return undefined
}

async function readMarker(client: Client, bucket: string, prefix: string): Promise<string | undefined> {
  try {
    const stream = await inTime(client.getObject(bucket, markerKey(prefix)))
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of stream) {
      size += chunk.length
      if (size > 1024) break // ours is "namespace/name"
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8').trim().slice(0, 512)
  } catch (error) {
    if (['NoSuchKey', 'NotFound'].includes(troubleOf(error).code)) return undefined
    throw error
  }
}

async function isEmpty(client: Client, bucket: string, prefix: string): Promise<boolean> {
  const objects = client.listObjectsV2(bucket, prefix, true)
  const first = (async () => {
    for await (const _ of objects) return false
    return true
  })()
  try {
    return await inTime(first)
  } finally {
    objects.destroy()
  }
}

async function enableVersioning(client: Client, bucket: string): Promise<void> {
  const current = (await inTime(client.getBucketVersioning(bucket))) as { Status?: string } | undefined
  if (current?.Status !== 'Enabled') await inTime(client.setBucketVersioning(bucket, { Status: 'Enabled' }))
}

/** Uploads that were cut off cost space for ever. Rules of others stay; services without lifecycles go without. */
async function abortIncompleteUploads(client: Client, bucket: string): Promise<void> {
  try {
    const current = (await inTime(client.getBucketLifecycle(bucket)).catch(() => null)) as { Rule?: unknown } | null
    const rules = current?.Rule === undefined ? [] : Array.isArray(current.Rule) ? current.Rule : [current.Rule]
    if (rules.length > 0) return // somebody has decided on lifecycles here
    await inTime(
      client.setBucketLifecycle(bucket, {
        Rule: [
          {
            ID: LIFECYCLE_ID,
            Status: 'Enabled',
            Filter: { Prefix: '' },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: ABORT_AFTER_DAYS },
          },
        ],
      }),
    )
  } catch {
    // Not implemented, not allowed, or this rule is unknown (MinIO cleans up by itself): nothing that mail depends on.
  }
}

/**
 * Removes everything below the prefix, and the bucket when nothing else is in it. For deletionPolicy Delete only.
 * @throws Error as the client does; safe to call again
 */
export async function emptyBucket(wishes: BucketWishes, signal: AbortSignal): Promise<void> {
  const client = openBucketClient(wishes)
  const { bucket, prefix, owner } = wishes
  if (!(await inTime(client.bucketExists(bucket)))) return
  if ((await readMarker(client, bucket, prefix)) !== owner) return
  let batch: string[] = []
  for await (const item of client.listObjectsV2(bucket, prefix, true)) {
    signal.throwIfAborted()
    if (!item.name || item.name === markerKey(prefix)) continue
    batch.push(item.name)
    if (batch.length < 1000) continue
    await inTime(client.removeObjects(bucket, batch))
    batch = []
  }
  if (batch.length > 0) await inTime(client.removeObjects(bucket, batch))
  // The marker last: until then a second try knows that the rest may go.
  await inTime(client.removeObject(bucket, markerKey(prefix)))
  await inTime(client.removeBucket(bucket)).catch((error: unknown) => {
    if (!['BucketNotEmpty', 'NoSuchBucket', 'AccessDenied'].includes(troubleOf(error).code)) throw error
  })
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${REQUEST_MS / 1000} s`)), REQUEST_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
