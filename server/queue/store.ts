/** All SQL of the queue. A lease says which process delivers a recipient's mail now; it ends by itself. */
import type { Blobs } from '../blob/blobs.ts'
import type { Database, Queryable, Transaction } from '../db/database.ts'
import { domainOf } from './a-labels.ts'
import type { QueueItem, QueueRecipient } from './types.ts'

export const QUEUE_CHANNEL = 'queue'

/** Bytes of a message where they will lie: in the queue's own row, or in the blob store. */
export type StoredRaw = { raw: Buffer } | { blobId: string }

export interface QueuedRecipient extends QueueRecipient {
  id: string
  attempts: number
  delayReported: boolean
}

/** One delivery: the recipients of a message that go the same way. */
export interface Delivery {
  messageId: string
  /** Of the recipients; '' when all foreign mail goes to a relay. */
  domain: string
  reversePath: string
  envelopeId: string | undefined
  ret: 'full' | 'hdrs' | undefined
  sizeBytes: number
  createdAt: Date
  expiresAt: Date
  recipients: QueuedRecipient[]
}

/** Puts large messages into the blob store. Call it before the transaction: the bucket may be slow. */
export async function placeRaw(blobs: Blobs, raw: Buffer): Promise<StoredRaw> {
  return blobs.placement(raw.length) === 'inline' ? { raw } : { blobId: await blobs.put(raw) }
}

/** Writes a message with its recipients; workers hear of it at the commit. @returns its queue id */
export async function insertMessage(
  tx: Transaction,
  item: QueueItem,
  stored: StoredRaw,
  times: { now: Date; expiresAt: Date },
): Promise<string> {
  const { recipients } = item
  const [row] = await tx.query<{ id: string }>(
    `with message as (
       insert into queue_message
         (reverse_path, raw, blob_id, size_bytes, envelope_id, ret, account_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id),
     recipient as (
       insert into queue_recipient (message_id, address, domain, notify, orcpt, next_attempt_at)
       select message.id, r.address, r.domain, string_to_array(r.notify, ','), r.orcpt, $8
         from message, unnest($10::text[], $11::text[], $12::text[], $13::text[]) as r (address, domain, notify, orcpt))
     select id, pg_notify('${QUEUE_CHANNEL}', '') from message`,
    [
      item.reversePath,
      'raw' in stored ? stored.raw : null,
      'blobId' in stored ? Buffer.from(stored.blobId, 'hex') : null,
      item.raw.length,
      item.envelopeId ?? null,
      item.ret ?? null,
      item.accountId ?? null,
      times.now,
      times.expiresAt,
      recipients.map((recipient) => recipient.address),
      recipients.map((recipient) => domainOf(recipient.address)),
      recipients.map((recipient) => recipient.notify?.join(',') ?? null),
      recipients.map((recipient) => recipient.orcpt ?? null),
    ],
  )
  if (!row) throw new Error('the insert gave no row')
  return row.id
}

interface LeasedRow {
  id: string
  message_id: string
  address: string
  domain: string
  notify: QueueRecipient['notify'] | null
  orcpt: string | null
  attempts: number
  delay_reported: boolean
  reverse_path: string
  envelope_id: string | null
  ret: 'full' | 'hdrs' | null
  size_bytes: number
  created_at: Date
  expires_at: Date
}

/**
 * Takes what is due: at most `limit` deliveries, each with all of its due recipients. Rows that another process is just
 * taking are passed over, leases that ran out are taken over.
 * @param together deliveries hold all recipients of a message, whatever their domain (a relay takes them all)
 */
export async function leaseDue(
  db: Database,
  lease: { owner: number; now: Date; until: Date; limit: number; together: boolean },
): Promise<Delivery[]> {
  const rows = await db.query<LeasedRow>(
    `with head as materialized (
       select message_id, case when $5 then '' else domain end as domain, next_attempt_at from queue_recipient
        where next_attempt_at <= $2 and (lease_until is null or lease_until <= $2)
        order by next_attempt_at limit 20 * $4::int for update skip locked),
     delivery as (
       select message_id, domain from head group by 1, 2 order by min(next_attempt_at) limit $4),
     mine as (
       select r.id from queue_recipient r join delivery d
           on d.message_id = r.message_id and d.domain = case when $5 then '' else r.domain end
        where next_attempt_at <= $2 and (lease_until is null or lease_until <= $2)
          for update of r skip locked)
     update queue_recipient r set lease_owner = $1, lease_until = $3
       from mine, queue_message m
      where r.id = mine.id and m.id = r.message_id
      returning r.id, r.message_id, r.address, r.domain, r.notify, r.orcpt, r.attempts, r.delay_reported,
        m.reverse_path, m.envelope_id, m.ret, m.size_bytes, m.created_at, m.expires_at`,
    [lease.owner, lease.now, lease.until, lease.limit, lease.together],
  )
  const deliveries = new Map<string, Delivery>()
  for (const row of rows) {
    const domain = lease.together ? '' : row.domain
    const key = `${row.message_id} ${domain}`
    const delivery = deliveries.get(key) ?? {
      messageId: row.message_id,
      domain,
      reversePath: row.reverse_path,
      envelopeId: row.envelope_id ?? undefined,
      ret: row.ret ?? undefined,
      sizeBytes: row.size_bytes,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      recipients: [],
    }
    deliveries.set(key, delivery)
    delivery.recipients.push({
      id: row.id,
      address: row.address,
      ...(row.notify ? { notify: row.notify } : {}),
      ...(row.orcpt === null ? {} : { orcpt: row.orcpt }),
      attempts: row.attempts,
      delayReported: row.delay_reported,
    })
  }
  return [...deliveries.values()]
}

/** Keeps this process's leases for longer. */
export async function renewLeases(db: Database, owner: number, ids: string[], until: Date): Promise<void> {
  await db.query('update queue_recipient set lease_until = $3 where id = any($2::bigint[]) and lease_owner = $1', [
    owner,
    ids,
    until,
  ])
}

/** Gives back what this process did not get to. */
export async function releaseLeases(db: Database, owner: number): Promise<void> {
  await db.query('update queue_recipient set lease_owner = null, lease_until = null where lease_owner = $1', [owner])
  await db.query(`select pg_notify('${QUEUE_CHANNEL}', '')`)
}

/** @returns undefined when the message is no longer there */
export async function readRaw(db: Queryable, blobs: Blobs, messageId: string): Promise<Buffer | undefined> {
  const [row] = await db.query<{ raw: Buffer | null; blob_id: Buffer | null }>(
    'select raw, blob_id from queue_message where id = $1',
    [messageId],
  )
  if (!row) return undefined
  return row.raw ?? (row.blob_id ? blobs.get(row.blob_id.toString('hex')) : undefined)
}

/** What became of one recipient in an attempt. */
export type Settlement =
  | { id: string; done: true }
  | { id: string; done: false; nextAttemptAt: Date; reply: string; delayReported: boolean }

/** The lease ran out meanwhile, and another process has the recipients now. */
export class LeaseLost extends Error {
  override name = 'LeaseLost'
}

/**
 * Writes down an attempt: finished recipients go, the others wait, a message without recipients goes.
 * @throws LeaseLost when another process has them: its attempt counts, and reports are its to send
 */
export async function settle(tx: Transaction, owner: number, messageId: string, all: Settlement[]): Promise<void> {
  const done = all.filter((one) => one.done).map((one) => one.id)
  const waiting = all.filter((one) => !one.done)
  let settled = 0
  if (waiting.length > 0) {
    const updated = await tx.query(
      `update queue_recipient r set attempts = attempts + 1, lease_owner = null, lease_until = null,
          next_attempt_at = w.next_attempt_at, last_reply = w.reply, delay_reported = w.delay_reported
         from unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::boolean[])
           as w (id, next_attempt_at, reply, delay_reported)
        where r.id = w.id and r.lease_owner = $1 returning r.id`,
      [
        owner,
        waiting.map((one) => one.id),
        waiting.map((one) => one.nextAttemptAt),
        waiting.map((one) => one.reply),
        waiting.map((one) => one.delayReported),
      ],
    )
    settled += updated.length
  }
  if (done.length > 0) {
    // Two deliveries of one message may end at the same time: the lock lets the later one see that it is the last.
    await tx.query('select 1 from queue_message where id = $1 for update', [messageId])
    const deleted = await tx.query(
      'delete from queue_recipient where id = any($2::bigint[]) and lease_owner = $1 returning id',
      [owner, done],
    )
    settled += deleted.length
  }
  if (settled < all.length) throw new LeaseLost(`message ${messageId}`)
  if (done.length === 0) return
  await tx.query(
    'delete from queue_message where id = $1 and not exists (select from queue_recipient where message_id = $1)',
    [messageId],
  )
}

export type QueueState = 'due' | 'delivering' | 'waiting'

/** Recipients by state, of all replicas. */
export async function countByState(db: Queryable, now: Date): Promise<Record<QueueState, number>> {
  const [row] = await db.query<Record<QueueState, string>>(
    `select count(*) filter (where lease_until > $1) as delivering,
            count(*) filter (where next_attempt_at <= $1 and (lease_until is null or lease_until <= $1)) as due,
            count(*) filter (where next_attempt_at > $1 and (lease_until is null or lease_until <= $1)) as waiting
       from queue_recipient`,
    [now],
  )
  return { due: Number(row?.due), delivering: Number(row?.delivering), waiting: Number(row?.waiting) }
}
