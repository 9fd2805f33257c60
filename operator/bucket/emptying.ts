/**
 * Removes what a server keeps in its bucket: every object below its prefix with every version, delete marker and
 * unfinished upload, its mark last, then the bucket when nothing else is in it. For deletionPolicy Delete only. What
 * another server has marked for itself below the prefix stays. Nothing is remembered between calls: each begins with
 * what is still there.
 */

import type { Client } from 'minio'
import { type BucketWishes, openBucketClient } from './client.ts'
import { markerKey, readMark } from './ownership.ts'
import { troubleOf } from './trouble.ts'

export type Emptied =
  /** Nothing of the server's is left, and the bucket is gone. */
  | { outcome: 'removed' }
  /** Nothing of the server's is left; the bucket stays, because of `why`. */
  | { outcome: 'emptied'; why: string }
  /** There is no such bucket. */
  | { outcome: 'absent' }
  /** Not marked as the server's, so not touched. */
  | { outcome: 'foreign'; why: string }
  /** The time was up: `removed` objects are gone, more are there. */
  | { outcome: 'unfinished'; removed: number }

/** One object, or one version of it. */
interface Entry {
  name: string
  /** undefined where the bucket has never had versions. */
  versionId: string | undefined
}

/** How a bucket is listed. */
interface Listing {
  client: Client
  bucket: string
  versioned: boolean
  pageSize: number
}

/** What a call asks of the service and needs a right for: named in its error, which alone says "AccessDenied" only. */
type Step = 'ListBucket' | 'GetBucketVersioning' | 'ListBucketVersions' | 'ListBucketMultipartUploads' | 'DeleteObject'

/** Some services cannot do this; then there is nothing of the kind to remove. */
const UNKNOWN = ['NotImplemented', 'MethodNotAllowed']
/** Behind every key that begins with the text it is put after. */
const LAST = '\u{10ffff}'
const MAX_PAGE = 1000

/**
 * @param signal ends the round between two requests; what is left is for the next call
 * @param pageSize objects per request
 * @throws Error as the client does, and when the service does not remove what it was told to; safe to call again
 */
export async function emptyBucket(wishes: BucketWishes, signal: AbortSignal, pageSize = MAX_PAGE): Promise<Emptied> {
  const client = openBucketClient(wishes)
  const { bucket, prefix, owner } = wishes
  if (!(await client.bucketExists(bucket))) return { outcome: 'absent' }
  const mark = await readMark(client, bucket, prefix)
  if (mark !== owner) {
    const why = mark === undefined ? `${markerKey(prefix)} is not there` : `${markerKey(prefix)} names ${mark}`
    return { outcome: 'foreign', why }
  }
  const listing = { client, bucket, versioned: await hasVersions(client, bucket), pageSize }
  const others = foreignPlaces(client, wishes)
  let removed = 0
  try {
    removed += await abortUploads(client, wishes, others, signal)
    for await (const batch of doomed(listing, prefix, others, signal)) {
      await removeAll(client, bucket, batch)
      removed += batch.length
      signal.throwIfAborted()
    }
  } catch (error) {
    // An error of the service is told as what it is, also when the time is up.
    if (signal.aborted && error === signal.reason) return { outcome: 'unfinished', removed }
    throw error
  }
  // The mark last and whole: until then another call knows that the rest may go.
  const marks = await list(listing, markerKey(prefix), '')
  const ours = marks.filter(({ name }) => name === markerKey(prefix))
  await removeAll(client, bucket, ours)
  return removeBucket(client, bucket)
}

async function removeBucket(client: Client, bucket: string): Promise<Emptied> {
  try {
    await client.removeBucket(bucket)
    return { outcome: 'removed' }
  } catch (error) {
    const { code, message } = troubleOf(error)
    if (code === 'NoSuchBucket') return { outcome: 'removed' }
    if (code === 'BucketNotEmpty') return { outcome: 'emptied', why: 'other objects are in it' }
    return { outcome: 'emptied', why: `it may not be removed (${message})` }
  }
}

/** Batches to be removed; the same place is listed again until nothing is there, so a batch must be gone by then. */
async function* doomed(
  listing: Listing,
  prefix: string,
  others: ForeignPlaces,
  signal: AbortSignal,
): AsyncGenerator<Entry[]> {
  let after = ''
  let last = ''
  for (;;) {
    signal.throwIfAborted()
    const page = await list(listing, prefix, after)
    if (page.length === 0) return
    const batch: Entry[] = []
    let skipTo: string | undefined
    for (const entry of page) {
      const place = await others.placeOf(entry.name)
      if (place !== undefined) skipTo = place + LAST
      else if (entry.name === markerKey(prefix)) skipTo = entry.name
      else {
        batch.push(entry)
        continue
      }
      break // behind this the list goes on elsewhere
    }
    const [first] = batch
    if (first) {
      const text = `${first.name} ${first.versionId ?? ''}`
      if (text === last) throw new Error(`the service says that ${first.name} is removed, and still lists it`)
      last = text
      yield batch
    }
    if (skipTo !== undefined) after = skipTo
  }
}

/** One page of what is behind `after`, in the order of keys. */
async function list({ client, bucket, versioned, pageSize }: Listing, prefix: string, after: string): Promise<Entry[]> {
  // ListObjects, the first one: of the client's answers to the second, the key "007" comes back as 7.
  const options = versioned
    ? { IncludeVersion: true, keyMarker: encodeURIComponent(after) } // the client does not escape this one
    : {}
  const { objects } = await step(
    versioned ? 'ListBucketVersions' : 'ListBucket',
    client.listObjectsQuery(bucket, prefix, after, { Delimiter: '', MaxKeys: pageSize, ...options }),
  )
  const entries = objects.flatMap((object) => {
    const { name, versionId } = object as { name?: string; versionId?: string }
    return name?.startsWith(prefix) ? { name, versionId: versioned ? (versionId ?? 'null') : undefined } : []
  })
  // Versions come before delete markers, whatever their keys.
  return entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
}

/** Also where versioning was suspended: what it kept is still there. */
async function hasVersions(client: Client, bucket: string): Promise<boolean> {
  try {
    const current = (await step('GetBucketVersioning', client.getBucketVersioning(bucket))) as
      | { Status?: string }
      | undefined
    return Boolean(current?.Status)
  } catch (error) {
    if (UNKNOWN.includes(troubleOf(error).code)) return false
    throw error
  }
}

async function removeAll(client: Client, bucket: string, entries: readonly Entry[]): Promise<void> {
  if (entries.length === 0) return
  const names = entries.map(({ name, versionId }) => ({ name, ...(versionId === undefined ? {} : { versionId }) }))
  // One answer for all; its errors are listed in it.
  const answers = (await step('DeleteObject', client.removeObjects(bucket, names))) as unknown[]
  const refused = answers.find((answer) => !['NoSuchKey', 'NoSuchVersion'].includes(troubleOf(answer).code))
  if (refused === undefined) return
  const { Key, Message } = refused as { Key?: string; Message?: string }
  const { code } = troubleOf(refused)
  throw Object.assign(new Error(`${answers.length} of ${entries.length} objects stay, ${Key}: ${Message ?? code}`), {
    code,
  })
}

async function abortUploads(
  client: Client,
  { bucket, prefix }: BucketWishes,
  others: ForeignPlaces,
  signal: AbortSignal,
): Promise<number> {
  let aborted = 0
  let after = ''
  for (;;) {
    signal.throwIfAborted()
    const { uploads, isTruncated } = await step(
      'ListBucketMultipartUploads',
      client.listIncompleteUploadsQuery(bucket, prefix, after, '', ''),
    ).catch((error: unknown) => {
      if (UNKNOWN.includes(troubleOf(error).code)) return { uploads: [], isTruncated: false }
      throw error
    })
    for (const { key, uploadId } of uploads) {
      signal.throwIfAborted()
      after = key
      if (!key.startsWith(prefix) || (await others.placeOf(key)) !== undefined) continue
      await client.abortMultipartUpload(bucket, key, uploadId).catch((error: unknown) => {
        if (troubleOf(error).code !== 'NoSuchUpload') throw error
      })
      aborted += 1
    }
    if (!isTruncated || uploads.length === 0) return aborted
  }
}

interface ForeignPlaces {
  /** The widest prefix below ours that holds `key` and is marked as somebody else's. */
  placeOf(key: string): Promise<string | undefined>
}

/** Asks once about every directory that a key is in. */
function foreignPlaces(client: Client, { bucket, prefix, owner }: BucketWishes): ForeignPlaces {
  const known = new Map<string, boolean>()
  async function isForeign(place: string): Promise<boolean> {
    const before = known.get(place)
    if (before !== undefined) return before
    const mark = await readMark(client, bucket, place)
    const foreign = mark !== undefined && mark !== owner
    known.set(place, foreign)
    return foreign
  }
  return {
    async placeOf(key) {
      const directories = key.slice(prefix.length).split('/').slice(0, -1)
      let place = prefix
      for (const directory of directories) {
        place += `${directory}/`
        if (await isForeign(place)) return place
      }
      return undefined
    },
  }
}

async function step<T>(right: Step, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { code, message } = troubleOf(error)
    throw Object.assign(new Error(`s3:${right}: ${message}`, { cause: error }), { code })
  }
}
