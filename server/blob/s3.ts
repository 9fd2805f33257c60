/**
 * Message bytes in an S3 bucket; small ones stay in Postgres. The table `blob` knows every blob there is, wherever its
 * bytes lie, and its row lock orders storing against collecting (see gc.ts).
 */
import { type Database, Unavailable } from '../db/database.ts'
import type { BlobId, Blobs } from './blobs.ts'
import { type BucketClient, type BucketConfig, createBucketClient } from './bucket-client.ts'
import type { BlobRemover } from './gc.ts'
import { blobIdOf, createPostgresBlobs, isBlobId } from './postgres.ts'

export interface S3Blobs extends Blobs, BlobRemover, Disposable {}

/** @param rootDirectory what the paths in the configuration are relative to */
export function createS3Blobs(db: Database, config: BucketConfig, rootDirectory: string): S3Blobs {
  const bucket: BucketClient = createBucketClient(config, rootDirectory)
  const inline = createPostgresBlobs(db)
  /** Two letters of the hash first: some servers keep a prefix in one directory. */
  const keyOf = (id: BlobId) => `${config.prefix}${id.slice(0, 2)}/${id}`

  async function put(bytes: Uint8Array): Promise<BlobId> {
    if (bytes.length <= config.inlineMaxBytes) return inline.put(bytes)
    const id = blobIdOf(bytes)
    const key = Buffer.from(id, 'hex')
    // The row first: should the collector be about to delete this object, this waits until it is done, and from now on
    // the blob is too young for it.
    const [row] = await db.query<{ stored: boolean }>(
      `with orphan as (insert into blob_orphan (blob_id) values ($1) on conflict (blob_id) do update set since = now())
       insert into blob as b (id, size_bytes, stored) values ($1, $2, false)
         on conflict (id) do update set touched_at = now() returning stored`,
      [key, bytes.length],
    )
    if (row?.stored) return id
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    await bucket.run((client) => client.putObject(config.bucket, keyOf(id), body, body.length), { bytes: body.length })
    await db.query('update blob set stored = true where id = $1', [key])
    return id
  }

  async function read(id: BlobId): Promise<Buffer | undefined> {
    try {
      return await bucket.run(
        async (client) => {
          const chunks: Buffer[] = []
          for await (const chunk of await client.getObject(config.bucket, keyOf(id))) chunks.push(chunk)
          const bytes = Buffer.concat(chunks)
          if (blobIdOf(bytes) !== id) throw new Unavailable(`bucket ${config.bucket}: object ${keyOf(id)} is damaged`)
          return bytes
        },
        { bytes: 50_000_000, expected: ['NoSuchKey'] },
      )
    } catch (error) {
      if (error instanceof Unavailable) throw error
      return undefined
    }
  }

  return {
    put,
    async get(id) {
      if (!isBlobId(id)) return undefined
      const [row] = await db.query<{ bytes: Buffer | null }>('select bytes from blob where id = $1', [
        Buffer.from(id, 'hex'),
      ])
      return row && (row.bytes ?? read(id))
    },
    placement: (sizeBytes) => (sizeBytes <= config.inlineMaxBytes ? 'inline' : 'external'),
    async check() {
      const exists = await bucket.run((client) => client.bucketExists(config.bucket))
      if (!exists) throw new Unavailable(`bucket ${config.bucket} does not exist at ${config.endpoint}`)
    },
    async remove(id) {
      await bucket.run((client) => client.removeObject(config.bucket, keyOf(id)))
    },
    [Symbol.dispose]: () => bucket[Symbol.dispose](),
  }
}
