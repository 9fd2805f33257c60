/**
 * The bucket that holds message bytes: made when missing, adopted when empty or marked as this server's, configured.
 * What the service does not know and nobody asked for is left out, and said.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'minio'
import { type BucketWishes, openBucketClient } from './client.ts'
import { claim, lost } from './ownership.ts'
import { configureBucket } from './settings.ts'
import { type BucketTrouble, troubleOf } from './trouble.ts'

/** After these, what seems lost is looked for again: a service that begins, or is not of one mind yet, may not know of it. */
const LOOK_AGAIN_MS: readonly number[] = [1_000, 3_000, 6_000]

export type BucketState = { ok: true; message: string } | ({ ok: false } & BucketTrouble)

/**
 * Brings the bucket to what is wished for. Never throws: what is in the way is the answer.
 * @param signal ends the work, requests too
 * @param lookAgainMs pauses before it is believed that something is lost
 */
export async function ensureBucket(
  wishes: BucketWishes,
  signal?: AbortSignal,
  lookAgainMs = LOOK_AGAIN_MS,
): Promise<BucketState> {
  const { bucket, endpoint } = wishes
  try {
    const client = openBucketClient(wishes, signal)
    let trouble = await take(client, wishes)
    for (const ms of lookAgainMs) {
      if (trouble?.reason !== 'BucketLost') break
      await sleep(ms, undefined, signal && { signal })
      trouble = await take(client, wishes)
    }
    if (trouble) return { ok: false, ...trouble }
    const warnings = await configureBucket(client, wishes)
    return { ok: true, message: [`bucket ${bucket} at ${endpoint} answers`, ...warnings].join('; ') }
  } catch (error) {
    const { reason, message, code } = troubleOf(error)
    return { ok: false, reason, code, message: `bucket ${bucket} at ${endpoint}: ${message}` }
  }
}

/** Makes it ours, and makes it where it may be new. @throws Error as the client does */
async function take(client: Client, wishes: BucketWishes): Promise<BucketTrouble | undefined> {
  if (!(await client.bucketExists(wishes.bucket))) {
    if (!wishes.holdsMail) await make(client, wishes)
    else if (await isSaidToBeMissing(client, wishes)) return lost(wishes, 'does not exist any more')
  }
  return claim(client, wishes)
}

/** By the service itself: the answer to a HEAD has only a status, and any proxy on the way says 404, too. */
async function isSaidToBeMissing(client: Client, { bucket, prefix }: BucketWishes): Promise<boolean> {
  try {
    await client.listObjectsV2Query(bucket, prefix, '', '', 1, '')
    return false
  } catch (error) {
    if (troubleOf(error).code === 'NoSuchBucket') return true
    throw error
  }
}

async function make(client: Client, { bucket, region }: BucketWishes): Promise<void> {
  try {
    await client.makeBucket(bucket, region)
  } catch (error) {
    // Somebody was faster; not every service says BucketAlreadyOwnedByYou to its owner.
    if (!(await client.bucketExists(bucket).catch(() => false))) throw error
  }
}
