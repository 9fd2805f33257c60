/**
 * Whose a bucket is, or a prefix in one: an object with the owner's name marks it. A mark speaks for everything below
 * it, so it is looked for at every prefix above too: nobody settles inside of what is somebody else's.
 */

import type { Client } from 'minio'
import type { BucketWishes } from './client.ts'
import { type BucketTrouble, troubleOf } from './trouble.ts'

/** Last part of a mark's key; not among the engine's own keys. */
const MARK = '.mail-operator-owner'
/** A mark is "namespace/name". */
const MAX_MARK_BYTES = 1024

/** Marks a bucket (or a prefix in one) as a server's. */
export const markerKey = (prefix: string) => `${prefix}${MARK}`

/** '' and every prefix above `prefix`, the widest first: 'a/b/' has '' and 'a/'. */
export function prefixesAbove(prefix: string): string[] {
  const parts = prefix.split('/').slice(0, -1)
  return parts.map((_, index) =>
    parts
      .slice(0, index)
      .map((part) => `${part}/`)
      .join(''),
  )
}

/** Makes the bucket ours, or says whose it is. @throws Error as the client does */
export async function claim(client: Client, wishes: BucketWishes): Promise<BucketTrouble | undefined> {
  const { bucket, prefix, owner } = wishes
  if ((await readMark(client, bucket, prefix)) === owner) return undefined
  const before = await whoseElse(client, wishes)
  // Engines that ran on have put new mail into it: the mark tells that the old is there too.
  if (wishes.holdsMail && before?.code !== 'Marked') {
    const unmarked = `has lost its mark: if the mail is in it, put "${owner}" into object ${markerKey(prefix)}`
    return lost(wishes, before ? unmarked : 'is empty')
  }
  if (before) return before
  await client.putObject(bucket, markerKey(prefix), owner)
  // Two that come at the same time both find it free: whoever now sees the other leaves.
  const after = await whoseElse(client, wishes)
  if (after && (await readMark(client, bucket, prefix)) === owner) {
    await client.removeObject(bucket, markerKey(prefix))
  }
  return after
}

/** Where the owner's mail should be, it is not. */
export function lost({ bucket, endpoint }: BucketWishes, how: string): BucketTrouble {
  const message = `bucket ${bucket} at ${endpoint}, which should hold the mail, ${how}`
  return { reason: 'BucketLost', code: 'Lost', message }
}

/** Why the prefix cannot be taken: a mark of somebody else's on it or above it, or objects in it. */
async function whoseElse(client: Client, { bucket, prefix, owner }: BucketWishes): Promise<BucketTrouble | undefined> {
  for (const at of [...prefixesAbove(prefix), prefix]) {
    const marked = await readMark(client, bucket, at)
    if (marked === undefined || marked === owner) continue
    return {
      reason: 'BucketNotOurs',
      code: 'Marked',
      message: `bucket ${bucket} belongs to MailServer ${marked} (object ${markerKey(at)} says so)`,
    }
  }
  if (await holdsNothingElse(client, bucket, prefix)) return undefined
  return {
    reason: 'BucketNotOurs',
    code: 'NotEmpty',
    message: `bucket ${bucket} holds objects of somebody else; to adopt it, put "${owner}" into object ${markerKey(prefix)}`,
  }
}

/** The owner that a prefix is marked with. @throws Error as the client does */
export async function readMark(client: Client, bucket: string, prefix: string): Promise<string | undefined> {
  try {
    const stream = await client.getObject(bucket, markerKey(prefix))
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of stream) {
      size += chunk.length
      if (size > MAX_MARK_BYTES) break
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8').trim().slice(0, 512)
  } catch (error) {
    if (['NoSuchKey', 'NotFound'].includes(troubleOf(error).code)) return undefined
    throw error
  }
}

async function holdsNothingElse(client: Client, bucket: string, prefix: string): Promise<boolean> {
  const { objects } = await client.listObjectsV2Query(bucket, prefix, '', '', 2, '')
  return objects.every(({ name }) => name === markerKey(prefix))
}
