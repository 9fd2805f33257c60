/** What piles up in the store and is swept by one replica at a time: old receipts, uploads, log rows, references. */
import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import { startLeasedWork } from '../db/lease.ts'

const INTERVAL_MS = 300_000
const LEASE_MS = 300_000
const THREAD_REFS_INTERVAL_MS = 86_400_000
const RECEIPT_LIFETIME = '1 hour'
/** RFC 8620 §6.1: at least an hour; types.ts promises a day. */
const UPLOAD_LIFETIME = '25 hours'
/** Changes of an account that can be told: about what a client misses while it is away for a holiday. */
export const LOG_ROWS_PER_ACCOUNT = 20_000
const BATCH = 1_000

export function startCleanup(db: Database, logger: Logger): AsyncDisposable {
  const often = {
    name: 'mailstore-cleanup',
    everyMs: INTERVAL_MS,
    work: (signal: AbortSignal) => cleanUp(db, { signal }),
  }
  const daily = {
    name: 'mailstore-thread-refs',
    everyMs: THREAD_REFS_INTERVAL_MS,
    work: (signal: AbortSignal) => removeStaleThreadRefs(db, signal),
  }
  const started = new AsyncDisposableStack()
  for (const work of [often, daily]) started.use(startLeasedWork({ db, logger, leaseMs: LEASE_MS, ...work }))
  return started
}

/** @param logRows how many changes each account keeps */
export async function cleanUp(
  db: Database,
  { signal, logRows = LOG_ROWS_PER_ACCOUNT }: { signal?: AbortSignal; logRows?: number } = {},
): Promise<void> {
  await db.query(`delete from delivery_receipt where created_at < now() - interval '${RECEIPT_LIFETIME}'`)
  await db.query(
    `with gone as (delete from upload where uploaded_at < now() - interval '${UPLOAD_LIFETIME}' returning blob_id)
     insert into blob_orphan (blob_id) select distinct blob_id from gone order by blob_id
     on conflict (blob_id) do update set since = now()`,
  )
  await trimLogs(db, logRows, signal)
}

/** The floor rises first: nobody may believe that the log still reaches to where rows are being deleted. */
async function trimLogs(db: Database, logRows: number, signal?: AbortSignal): Promise<void> {
  for (;;) {
    if (signal?.aborted) return
    const accounts = await db.query<{ account_id: string; log_floor: string }>(
      `update account_state set log_floor = mod_seq - $1
        where account_id in (select account_id from account_state
                              where mod_seq - log_floor > $1 + greatest($1 / 10, 1) limit 100 for update skip locked)
        returning account_id, log_floor`,
      [logRows],
    )
    if (accounts.length === 0) return
    for (const { account_id, log_floor } of accounts) {
      await db.query('delete from change_log where account_id = $1 and mod_seq <= $2', [account_id, log_floor])
    }
  }
}

/** References of threads whose emails are all gone. One pass over the table in the order of its key. */
export async function removeStaleThreadRefs(db: Database, signal?: AbortSignal): Promise<void> {
  // Hashes are signed.
  let after: { account: string; ref: string } | undefined = { account: '0', ref: '0' }
  while (after && !signal?.aborted) after = await removeStalePage(db, after.account, after.ref)
}

/** @returns the last reference looked at; undefined at the end */
async function removeStalePage(db: Database, account: string, ref: string) {
  const page = await db.query<{ account: string; ref: string }>(
    `with page as (
       select account_id, ref, thread_id from thread_ref where (account_id, ref) > ($1::bigint, $2::bigint)
        order by account_id, ref limit ${BATCH}
     ), gone as (
       delete from thread_ref t using page p
        where t.account_id = p.account_id and t.ref = p.ref
          and not exists (select from membership m where m.thread_id = p.thread_id)
     )
     select account_id as account, ref from page order by account_id, ref`,
    [account, ref],
  )
  return page.length < BATCH ? undefined : page.at(-1)
}
