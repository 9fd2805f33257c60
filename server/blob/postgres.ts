/** Message bytes as rows of Postgres: what a MailServer without a bucket gets. */
import { createHash } from 'node:crypto'
import type { Database } from '../db/database.ts'
import type { BlobId, Blobs } from './blobs.ts'

/** Lower-case hex SHA-256. */
export function blobIdOf(bytes: Uint8Array): BlobId {
  return createHash('sha256').update(bytes).digest('hex')
}

/** True for what could be the id of a blob. */
export function isBlobId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

export function createPostgresBlobs(db: Database): Blobs {
  return {
    async put(bytes) {
      const id = blobIdOf(bytes)
      await db.query(
        // A suspect until something refers to it: see gc.ts.
        `with orphan as (insert into blob_orphan (blob_id) values ($1) on conflict (blob_id) do update set since = now())
         insert into blob as b (id, size_bytes, bytes) values ($1, $2, $3)
           on conflict (id) do update set touched_at = now(), stored = true, bytes = coalesce(b.bytes, excluded.bytes)`,
        [Buffer.from(id, 'hex'), bytes.length, bytes],
      )
      return id
    },
    get: (id) => readInlineBlob(db, id),
    placement: () => 'inline',
    async check() {}, // the database has its own check
  }
}

/** Bytes that lie in Postgres. @returns undefined when the blob is unknown or lies in the bucket */
export async function readInlineBlob(db: Database, id: BlobId): Promise<Buffer | undefined> {
  if (!isBlobId(id)) return undefined
  const [row] = await db.query<{ bytes: Buffer | null }>('select bytes from blob where id = $1', [
    Buffer.from(id, 'hex'),
  ])
  return row?.bytes ?? undefined
}
