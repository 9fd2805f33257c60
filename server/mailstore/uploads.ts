/** Bytes: whole messages and JMAP uploads, each only for the account that has them. */
import type { Blobs } from '../blob/blobs.ts'
import { isBlobId } from '../blob/postgres.ts'
import type { Limits } from '../config.ts'
import type { Database } from '../db/database.ts'
import { readBlobs } from './blob-reads.ts'
import { accountNumber } from './ids.ts'
import { type Mailstore, MessageTooLarge } from './types.ts'

export function createBlobMethods(
  db: Database,
  blobs: Blobs,
  limits: Limits,
): Pick<Mailstore, 'readBlob' | 'readBlobs' | 'putUpload'> {
  const read = (accountId: string, ids: readonly string[]) =>
    readBlobs(db, blobs, [...new Set(ids.filter(isBlobId))], accountNumber(accountId))

  return {
    async readBlob(accountId, blobId) {
      return (await read(accountId, [blobId])).get(blobId)
    },
    readBlobs: read,

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
