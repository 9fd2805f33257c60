/** Reads the bytes of many messages: what lies in Postgres in one statement, the rest from the bucket a few at a time. */
import type { Blobs } from '../blob/blobs.ts'
import type { Database } from '../db/database.ts'

const EXTERNAL_READS = 8

/**
 * @param ids BlobIds that the caller has checked
 * @param readableBy only those that an email or an upload of this account (its number) refers to
 * @returns those that are there
 */
export async function readBlobs(
  db: Database,
  blobs: Blobs,
  ids: readonly string[],
  readableBy?: number,
): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  if (ids.length === 0) return found
  const mine =
    readableBy === undefined
      ? ''
      : `and (exists (select from email where blob_id = b.id and account_id = $2)
              or exists (select from upload where blob_id = b.id and account_id = $2))`
  const rows = await db.query<{ id: string; bytes: Buffer | null }>(
    `select encode(b.id, 'hex') as id, b.bytes from blob b
      where b.id in (select decode(id, 'hex') from unnest($1::text[]) as id) ${mine}`,
    readableBy === undefined ? [ids] : [ids, readableBy],
  )
  const external: string[] = []
  for (const { id, bytes } of rows) {
    if (bytes) found.set(id, bytes)
    else external.push(id)
  }
  for (let start = 0; start < external.length; start += EXTERNAL_READS) {
    await Promise.all(
      external.slice(start, start + EXTERNAL_READS).map(async (id) => {
        const bytes = await blobs.get(id)
        if (bytes) found.set(id, bytes)
      }),
    )
  }
  return found
}
