/** Bytes: whole messages and JMAP uploads, each only for the account that has them. */
import type { Blobs } from '../blob/blobs.ts'
import { isBlobId } from '../blob/postgres.ts'
import type { Limits } from '../config.ts'
import type { Database } from '../db/database.ts'
import { accountNumber } from './ids.ts'
import { type Mailstore, MessageTooLarge } from './types.ts'

export function createBlobMethods(
  db: Database,
  blobs: Blobs,
  limits: Limits,
): Pick<Mailstore, 'readBlob' | 'putUpload'> {
  return {
    async readBlob(accountId, blobId) {
      if (!isBlobId(blobId)) return undefined
      const [row] = await db.query<{ readable: boolean; bytes: Buffer | null }>(
        `select (exists (select from email where blob_id = $1 and account_id = $2)
              or exists (select from upload where blob_id = $1 and account_id = $2)) as readable, b.bytes
           from blob b where b.id = $1`,
        [Buffer.from(blobId, 'hex'), accountNumber(accountId)],
      )
      if (!row?.readable) return undefined
      return row.bytes ?? blobs.get(blobId)
    },

    async putUpload(accountId, bytes) {
      if (bytes.length > limits.jmapUploadBytes)
        throw new MessageTooLarge(`larger than ${limits.jmapUploadBytes} bytes`)
      const blobId = await blobs.put(bytes)
      await db.query(
        `insert into upload (account_id, blob_id) values ($1, $2)
         on conflict (account_id, blob_id) do update set uploaded_at = now()`,
        [accountNumber(accountId), Buffer.from(blobId, 'hex')],
      )
      return blobId
    },
  }
}
