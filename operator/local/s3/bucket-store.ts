/**
 * Buckets and their objects in a directory. A key's path segments are directories, so that listing walks in key order
 * and starting needs no index: buckets/<bucket>/objects/a$d/b$d/c$o holds key "a/b/c".
 */
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { S3Error } from './errors.ts'
import { errno, makeDirectory, removeFile, syncDirectory, writeSmallFile } from './files.ts'
import { type ObjectInfo, type OpenObject, openObject, writeObject } from './object-file.ts'

/** S3's limit (bytes of UTF-8). */
const MAX_KEY_BYTES = 1024
/** File names hold 255 bytes; the suffix takes two. */
const MAX_SEGMENT_BYTES = 250

export interface BucketStore {
  /** @throws S3Error BucketAlreadyOwnedByYou, InvalidBucketName */
  createBucket(bucket: string, region: string): Promise<void>
  /** @throws S3Error NoSuchBucket, BucketNotEmpty */
  deleteBucket(bucket: string): Promise<void>
  listBuckets(): Promise<{ name: string; createdMs: number }[]>
  /** @throws S3Error NoSuchBucket */
  bucket(bucket: string): Promise<{ region: string; createdMs: number }>
  put(
    bucket: string,
    key: string,
    data: AsyncIterable<Buffer>,
    options: { headers: Record<string, string>; etag?: string; onlyIfAbsent?: boolean },
  ): Promise<ObjectInfo>
  /** @throws S3Error NoSuchKey */
  open(bucket: string, key: string): Promise<OpenObject>
  /** False when it was not there. */
  remove(bucket: string, key: string): Promise<boolean>
  /** Keys in order (by UTF-8 bytes), see WalkOptions. */
  walk(bucket: string, options: WalkOptions): AsyncGenerator<string>
  /** A bucket's configuration document by its query name ("lifecycle"); undefined when never put. */
  readConfiguration(bucket: string, name: string): Promise<string | undefined>
  writeConfiguration(bucket: string, name: string, document: string | undefined): Promise<void>
}

export interface WalkOptions {
  prefix: string
  /** Only keys behind this one. */
  after: string
  /** No keys that begin with this: a common prefix that was told already. */
  skip?: string
}

/** @param root exists; `root/tmp` is on the same file system */
export function createBucketStore(root: string, now: () => Date): BucketStore {
  const temporary = join(root, 'tmp')
  const buckets = join(root, 'buckets')
  const objectsOf = (bucket: string): string => join(buckets, bucket, 'objects')
  const configurationOf = (bucket: string, name: string): string => join(buckets, bucket, `${name}.xml`)
  const aboutOf = (bucket: string): string => join(buckets, bucket, 'bucket.json')

  async function about(bucket: string): Promise<{ region: string; createdMs: number }> {
    try {
      if (validBucketName(bucket)) return JSON.parse(await readFile(aboutOf(bucket), 'utf8'))
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw error
    }
    throw new S3Error('NoSuchBucket', 'The specified bucket does not exist')
  }

  async function* walkDirectory(directory: string, at: string, options: WalkOptions): AsyncGenerator<string> {
    for (const entry of await entriesOf(directory, at)) {
      const { key, name, isDirectory } = entry
      if (options.skip !== undefined && key.startsWith(options.skip)) continue
      if (!isDirectory) {
        if (key.startsWith(options.prefix) && inOrder(options.after, key) < 0) yield key
        continue
      }
      const mayHold = key.startsWith(options.prefix) || options.prefix.startsWith(key)
      const isBehind = options.after.startsWith(key) || inOrder(options.after, key) < 0
      if (mayHold && isBehind) yield* walkDirectory(join(directory, name), key, options)
    }
  }

  return {
    bucket: about,

    async createBucket(bucket, region) {
      if (!validBucketName(bucket)) throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.')
      await makeDirectory(buckets)
      try {
        await mkdir(join(buckets, bucket), { mode: 0o700 })
      } catch (error) {
        if (errno(error) !== 'EEXIST') throw error
        // A directory without its description is a creation that was cut short: finish it.
        if (await about(bucket).catch(() => undefined)) {
          throw new S3Error('BucketAlreadyOwnedByYou', 'Your previous request to create the named bucket succeeded.')
        }
      }
      await makeDirectory(objectsOf(bucket))
      await writeSmallFile(temporary, aboutOf(bucket), JSON.stringify({ region, createdMs: now().getTime() }))
      await syncDirectory(buckets)
    },

    async deleteBucket(bucket) {
      await about(bucket)
      for await (const _ of walkDirectory(objectsOf(bucket), '', { prefix: '', after: '' })) {
        throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty')
      }
      await removeFile(aboutOf(bucket))
      await rm(join(buckets, bucket), { recursive: true, force: true })
      await syncDirectory(buckets)
    },

    async listBuckets() {
      const found = []
      const names = await readdir(buckets).catch(() => [])
      for (const name of names.sort()) {
        const known = await about(name).catch(() => undefined)
        if (known) found.push({ name, createdMs: known.createdMs })
      }
      return found
    },

    async put(bucket, key, data, options) {
      return writeObject(objectPath(objectsOf(bucket), key), data, { ...options, temporary, now: now() })
    },

    open: (bucket, key) => openObject(objectPath(objectsOf(bucket), key)),

    async remove(bucket, key) {
      const path = objectPath(objectsOf(bucket), key)
      if (!(await removeFile(path))) return false
      let directory = dirname(path)
      await syncDirectory(directory).catch(() => {}) // removed by a neighbour's delete: then it is durable there
      for (; directory !== objectsOf(bucket); directory = dirname(directory)) {
        // Not empty, or gone: both end the climb.
        if (
          !(await rmdir(directory).then(
            () => true,
            () => false,
          ))
        )
          break
      }
      return true
    },

    walk: (bucket, options) => walkDirectory(objectsOf(bucket), '', options),

    async readConfiguration(bucket, name) {
      try {
        return await readFile(configurationOf(bucket, name), 'utf8')
      } catch (error) {
        if (errno(error) === 'ENOENT') return undefined
        throw error
      }
    },

    async writeConfiguration(bucket, name, document) {
      if (document === undefined) await removeFile(configurationOf(bucket, name))
      else await writeSmallFile(temporary, configurationOf(bucket, name), document)
    },
  }
}

/** Order of S3 listings: by UTF-8 bytes. */
export function inOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** S3's bucket naming rules, as far as they keep a name a plain directory name. */
export function validBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..') && !/^[0-9.]+$/.test(name)
}

async function entriesOf(directory: string, at: string) {
  const names = await readdir(directory).catch((error) => {
    if (errno(error) === 'ENOENT') return []
    throw error
  })
  return names
    .map((name) => {
      const isDirectory = name.endsWith('$d')
      return { name, isDirectory, key: at + decodeSegment(name.slice(0, -2)) + (isDirectory ? '/' : '') }
    })
    .sort((a, b) => inOrder(a.key, b.key))
}

function objectPath(objects: string, key: string): string {
  if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error('KeyTooLongError', 'Your key is too long')
  const segments = key.split('/').map(encodeSegment)
  const last = segments.pop() ?? ''
  return join(objects, ...segments.map((segment) => `${segment}$d`), `${last}$o`)
}

function encodeSegment(segment: string): string {
  const name = encodeURIComponent(segment).replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`)
  if (name.length > MAX_SEGMENT_BYTES) throw new S3Error('KeyTooLongError', 'A path segment of your key is too long')
  return name
}

function decodeSegment(name: string): string {
  return decodeURIComponent(name)
}
