/** ListObjects and ListObjectsV2: one page of keys and common prefixes. */
import type { BucketStore } from './bucket-store.ts'
import { S3Error } from './errors.ts'
import type { ObjectInfo } from './object-file.ts'
import { element } from './xml.ts'

const MAX_KEYS = 1000

interface Page {
  objects: { key: string; info: ObjectInfo }[]
  commonPrefixes: string[]
  truncated: boolean
  /** The last key or common prefix of the page. */
  last: string
}

/** The XML answer to a list request. */
export async function listObjects(store: BucketStore, bucket: string, query: URLSearchParams): Promise<string> {
  const version2 = query.get('list-type') === '2'
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const maxKeys = countOf(query.get('max-keys'))
  const token = query.get('continuation-token')
  const after = version2
    ? token
      ? Buffer.from(token, 'base64url').toString('utf8')
      : (query.get('start-after') ?? '')
    : (query.get('marker') ?? '')
  const encoding = query.get('encoding-type')
  const name = encoding === 'url' ? encodeURIComponent : (text: string): string => text
  const page = await readPage(store, bucket, { prefix, delimiter, maxKeys, after })
  const parts = [element('Name', bucket), element('Prefix', name(prefix)), element('MaxKeys', maxKeys)]
  if (delimiter) parts.push(element('Delimiter', name(delimiter)))
  if (encoding) parts.push(element('EncodingType', encoding))
  parts.push(element('IsTruncated', page.truncated))
  if (version2) {
    parts.push(element('KeyCount', page.objects.length + page.commonPrefixes.length))
    if (token) parts.push(element('ContinuationToken', token))
    else if (after) parts.push(element('StartAfter', name(after)))
    if (page.truncated) parts.push(element('NextContinuationToken', Buffer.from(page.last).toString('base64url')))
  } else {
    parts.push(element('Marker', name(after)))
    if (page.truncated) parts.push(element('NextMarker', name(page.last)))
  }
  for (const { key, info } of page.objects) {
    parts.push(
      '<Contents>',
      element('Key', name(key)),
      element('LastModified', new Date(info.lastModifiedMs).toISOString()),
      element('ETag', `"${info.etag}"`),
      element('Size', info.size),
      element('StorageClass', 'STANDARD'),
      '</Contents>',
    )
  }
  for (const common of page.commonPrefixes) {
    parts.push('<CommonPrefixes>', element('Prefix', name(common)), '</CommonPrefixes>')
  }
  return `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</ListBucketResult>`
}

async function readPage(
  store: BucketStore,
  bucket: string,
  { prefix, delimiter, maxKeys, after }: { prefix: string; delimiter: string; maxKeys: number; after: string },
): Promise<Page> {
  const page: Page = { objects: [], commonPrefixes: [], truncated: false, last: '' }
  // A marker that is a common prefix stands for everything below it.
  let skip = delimiter && after.endsWith(delimiter) && after.length > prefix.length ? after : undefined
  let from = after
  for (;;) {
    let restart = false
    for await (const key of store.walk(bucket, { prefix, after: from, ...(skip === undefined ? {} : { skip }) })) {
      if (page.objects.length + page.commonPrefixes.length >= maxKeys) {
        page.truncated = maxKeys > 0
        return page
      }
      const at = delimiter ? key.indexOf(delimiter, prefix.length) : -1
      if (at >= 0) {
        const common = key.slice(0, at + delimiter.length)
        page.commonPrefixes.push(common)
        page.last = common
        from = common
        skip = common
        restart = true // jump over everything below instead of reading it
        break
      }
      const info = await infoOf(store, bucket, key)
      page.last = key
      if (info) page.objects.push({ key, info })
    }
    if (!restart) return page
  }
}

/** undefined when it was deleted since the walk saw it. */
async function infoOf(store: BucketStore, bucket: string, key: string): Promise<ObjectInfo | undefined> {
  try {
    await using object = await store.open(bucket, key)
    return object.info
  } catch (error) {
    if (error instanceof S3Error && error.code === 'NoSuchKey') return undefined
    throw error
  }
}

function countOf(text: string | null): number {
  if (text === null || text === '') return MAX_KEYS
  const count = Number(text)
  if (!Number.isInteger(count) || count < 0) throw new S3Error('InvalidArgument', 'max-keys is not a valid number.')
  return Math.min(count, MAX_KEYS)
}
