/** Deletes blobs that nothing refers to any more, one replica at a time, after a grace period. */
import type { Logger } from 'pino'
import { Counter, Registry } from 'prom-client'
import type { Database, Transaction } from '../db/database.ts'
import { startLeasedWork } from '../db/lease.ts'
import type { BlobId } from './blobs.ts'

/** Longer than the usual interval between backups: a restored database finds its blobs. */
export const GRACE_MS = 14 * 86_400_000
const INTERVAL_MS = 600_000
const LEASE_MS = 300_000
const BATCH = 50

export interface BlobRemover {
  /** Deletes the bytes of a blob outside of Postgres; no error when there are none. @throws Unavailable */
  remove(id: BlobId): Promise<void>
}

export interface BlobGcOptions {
  db: Database
  remover: BlobRemover
  graceMs?: number
  logger: Logger
  metrics?: Registry
}

export function startBlobGc(options: BlobGcOptions): AsyncDisposable {
  const { db, remover, logger, graceMs = GRACE_MS } = options
  const collected = new Counter({
    name: 'mail_blobs_collected_total',
    help: 'Blobs deleted because nothing referred to them any more',
    registers: [options.metrics ?? new Registry()],
  })
  return startLeasedWork({
    db,
    logger,
    name: 'blob-gc',
    everyMs: INTERVAL_MS,
    leaseMs: LEASE_MS,
    async work(signal) {
      const deleted = await collectBlobs(db, remover, graceMs, signal)
      collected.inc(deleted)
      if (deleted > 0) logger.info({ deleted }, 'deleted blobs without references')
    },
  })
}

/** Looks at all blobs that have been suspects for the grace period. @returns how many were deleted */
export async function collectBlobs(
  db: Database,
  remover: BlobRemover,
  graceMs: number,
  signal?: AbortSignal,
): Promise<number> {
  let deleted = 0
  for (;;) {
    if (signal?.aborted) return deleted
    await distrustObjects(db, graceMs)
    const result = await db.transaction((tx) => collectBatch(tx, remover, graceMs))
    deleted += result.deleted
    if (result.looked < BATCH) return deleted
  }
}

/** Blobs b that nothing refers to and nobody stored lately. $1 is the grace period in seconds. */
const UNUSED = `b.touched_at < now() - make_interval(secs => $1)
        and not exists (select from email e where e.blob_id = b.id)
        and not exists (select from upload u where u.blob_id = b.id)
        and not exists (select from queue_message q where q.blob_id = b.id)`

/**
 * Committed before any object goes: should this process die between deleting an object and its row, then whoever stores
 * the same bytes again does not take them for stored.
 */
async function distrustObjects(db: Database, graceMs: number): Promise<void> {
  await db.query(
    `update blob b set stored = false
      where b.stored and b.bytes is null and ${UNUSED}
        and b.id in (select blob_id from blob_orphan where since < now() - make_interval(secs => $1)
                      order by since limit ${BATCH})`,
    [graceMs / 1000],
  )
}

async function collectBatch(
  tx: Transaction,
  remover: BlobRemover,
  graceMs: number,
): Promise<{ looked: number; deleted: number }> {
  // The blob's row stays locked until the bytes are gone: whoever stores the same bytes meanwhile waits, and stores anew.
  const suspects = await tx.query<{ id: Buffer }>(
    `select o.blob_id as id from blob_orphan o left join blob b on b.id = o.blob_id
      where o.since < now() - make_interval(secs => $1) order by o.since limit ${BATCH} for update of o skip locked`,
    [graceMs / 1000],
  )
  const ids = suspects.map(({ id }) => id)
  if (ids.length === 0) return { looked: 0, deleted: 0 }
  const unused = await tx.query<{ id: Buffer; external: boolean }>(
    `select b.id, b.bytes is null as external from blob b
      where b.id = any($2::bytea[]) and (not b.stored or b.bytes is not null) and ${UNUSED}
      order by b.id for update of b`,
    [graceMs / 1000, ids],
  )
  for (const { id, external } of unused) if (external) await remover.remove(id.toString('hex'))
  await tx.query('delete from blob where id = any($1::bytea[])', [unused.map(({ id }) => id)])
  // Those with an email come back when that is deleted; uploads, queued and young ones are looked at again.
  await tx.query(
    `delete from blob_orphan o where o.blob_id = any($1::bytea[])
        and (not exists (select from blob b where b.id = o.blob_id)
             or exists (select from email e where e.blob_id = o.blob_id))`,
    [ids],
  )
  await tx.query('update blob_orphan set since = now() where blob_id = any($1::bytea[])', [ids])
  return { looked: ids.length, deleted: unused.length }
}
