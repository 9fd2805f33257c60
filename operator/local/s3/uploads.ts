/** Multipart uploads: parts lie as objects in uploads/<id>/ until they are put together or given up. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BucketStore } from './bucket-store.ts'
import { S3Error } from './errors.ts'
import { makeDirectory, syncDirectory, writeSmallFile } from './files.ts'
import { type ObjectInfo, openObject, writeObject } from './object-file.ts'

const MAX_PARTS = 10_000
const MIN_PART_BYTES = 5 * 1024 * 1024

interface Upload {
  bucket: string
  key: string
  headers: Record<string, string>
  initiatedMs: number
}

export interface Uploads {
  create(bucket: string, key: string, headers: Record<string, string>): Promise<string>
  putPart(of: PartOf, number: number, data: AsyncIterable<Buffer>): Promise<ObjectInfo>
  parts(of: PartOf): Promise<{ number: number; info: ObjectInfo }[]>
  /** @throws S3Error InvalidPart, InvalidPartOrder, EntityTooSmall */
  complete(of: PartOf, parts: { number: number; etag: string }[]): Promise<ObjectInfo>
  abort(of: PartOf): Promise<void>
  /** Uploads in progress of one bucket. */
  list(bucket: string): Promise<{ id: string; key: string; initiatedMs: number }[]>
  /** Gives up the uploads that began before a moment (lifecycle rule AbortIncompleteMultipartUpload). */
  abortBefore(bucket: string, beforeMs: number): Promise<void>
}

export interface PartOf {
  bucket: string
  key: string
  uploadId: string
}

export function createUploads(root: string, store: BucketStore, now: () => Date): Uploads {
  const uploads = join(root, 'uploads')
  const temporary = join(root, 'tmp')
  const directoryOf = (id: string): string => join(uploads, id)
  const partPath = (id: string, number: number): string => join(directoryOf(id), `part-${number}`)

  async function find(of: PartOf): Promise<Upload> {
    const upload = /^[0-9a-f]{32}$/.test(of.uploadId) ? await readUpload(of.uploadId) : undefined
    if (upload?.bucket === of.bucket && upload.key === of.key) return upload
    throw new S3Error('NoSuchUpload', 'The specified multipart upload does not exist.')
  }

  async function readUpload(id: string): Promise<Upload | undefined> {
    const text = await readFile(join(directoryOf(id), 'upload.json'), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as Upload)
  }

  async function remove(id: string): Promise<void> {
    await rm(directoryOf(id), { recursive: true, force: true })
  }

  async function list(bucket: string): Promise<{ id: string; key: string; initiatedMs: number }[]> {
    const found = []
    for (const id of await readdir(uploads).catch(() => [])) {
      const upload = await readUpload(id)
      if (upload?.bucket === bucket) found.push({ id, key: upload.key, initiatedMs: upload.initiatedMs })
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.initiatedMs - b.initiatedMs))
  }

  return {
    list,

    async create(bucket, key, headers) {
      const id = randomBytes(16).toString('hex')
      await makeDirectory(uploads)
      await mkdir(directoryOf(id), { mode: 0o700 })
      const upload: Upload = { bucket, key, headers, initiatedMs: now().getTime() }
      await writeSmallFile(temporary, join(directoryOf(id), 'upload.json'), JSON.stringify(upload))
      await syncDirectory(uploads)
      return id
    },

    async putPart(of, number, data) {
      await find(of)
      if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS) {
        throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive')
      }
      return writeObject(partPath(of.uploadId, number), data, { temporary, headers: {}, now: now() })
    },

    async parts(of) {
      await find(of)
      const found = []
      for (const name of await readdir(directoryOf(of.uploadId))) {
        const number = Number(/^part-(\d+)$/.exec(name)?.[1])
        if (!Number.isInteger(number)) continue
        await using part = await openObject(partPath(of.uploadId, number))
        found.push({ number, info: part.info })
      }
      return found.sort((a, b) => a.number - b.number)
    },

    async complete(of, parts) {
      const upload = await find(of)
      if (parts.length === 0) throw new S3Error('MalformedXML', 'You must specify at least one part')
      const digest = createHash('md5')
      for (const [index, { number, etag }] of parts.entries()) {
        if (index > 0 && number <= (parts[index - 1]?.number ?? 0)) {
          throw new S3Error('InvalidPartOrder', 'The list of parts was not in ascending order.')
        }
        const info = await partInfo(partPath(of.uploadId, number))
        if (info?.etag !== etag) {
          throw new S3Error('InvalidPart', 'One or more of the specified parts could not be found.')
        }
        if (info.size < MIN_PART_BYTES && index < parts.length - 1) {
          throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size')
        }
        digest.update(Buffer.from(etag, 'hex'))
      }
      async function* whole(): AsyncGenerator<Buffer> {
        for (const { number } of parts) {
          await using part = await openObject(partPath(of.uploadId, number))
          yield* part.read(0, part.info.size)
        }
      }
      const etag = `${digest.digest('hex')}-${parts.length}`
      const info = await store.put(of.bucket, of.key, whole(), { headers: upload.headers, etag })
      await remove(of.uploadId)
      return info
    },

    async abort(of) {
      await find(of)
      await remove(of.uploadId)
    },

    async abortBefore(bucket, beforeMs) {
      for (const { id, initiatedMs } of await list(bucket)) if (initiatedMs < beforeMs) await remove(id)
    },
  }
}

async function partInfo(path: string): Promise<ObjectInfo | undefined> {
  try {
    await using part = await openObject(path)
    return part.info
  } catch (error) {
    if (error instanceof S3Error && error.code === 'NoSuchKey') return undefined
    throw error
  }
}
