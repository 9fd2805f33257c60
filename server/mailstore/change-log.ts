/**
 * What one transaction changes in an account: gathered here, then written in one statement with the account's and the
 * mailboxes' counters, the log row that IMAP (CHANGEDSINCE, VANISHED) and JMAP (/changes) read, and the notification.
 */
import type { Database, Transaction } from '../db/database.ts'
import { accountNumber } from './ids.ts'
import { formatRanges, toRanges } from './ranges.ts'
import { MailboxNotFound } from './types.ts'

export const NOTIFY_CHANNEL = 'mail_store'
/** Postgres refuses 8000 bytes and more. */
const NOTIFY_BYTES = 7_500

/** Kinds of object in the log, by their initial. */
export type LogKind = 'e' | 'm' | 't'
/** Created, updated, destroyed. */
export type LogVerb = 'c' | 'u' | 'd'

/** One row of change_log.delta. Absent is empty. `u`: per mailbox the UIDs that appeared or changed (c) and vanished (x). */
export type Delta = { [kind in LogKind]?: { [verb in LogVerb]?: number[] } } & {
  u?: Record<string, { c?: string; x?: string }>
}

export interface MailboxCounters {
  total: number
  unread: number
  threads: number
  unreadThreads: number
  bytes: number
  /** UIDs taken. */
  uids: number
}

/** Collects the changes of one account under one MODSEQ. */
export class AccountChange {
  readonly accountId: number
  readonly modSeq: number
  usedBytes = 0
  readonly counters = new Map<number, MailboxCounters>()
  readonly #objects = new Map<string, Set<number>>()
  readonly #uids = new Map<number, { c: number[]; x: number[] }>()

  constructor(accountId: number, modSeq: number) {
    this.accountId = accountId
    this.modSeq = modSeq
  }

  note(kind: LogKind, verb: LogVerb, id: number): void {
    const key = kind + verb
    const ids = this.#objects.get(key)
    if (ids) ids.add(id)
    else this.#objects.set(key, new Set([id]))
  }

  /** A message appeared in the mailbox or its flags changed. */
  changed(mailboxId: number, uid: number): void {
    this.#uidsOf(mailboxId).c.push(uid)
  }

  vanished(mailboxId: number, uid: number): void {
    this.#uidsOf(mailboxId).x.push(uid)
  }

  count(mailboxId: number, difference: Partial<MailboxCounters>): void {
    let counters = this.counters.get(mailboxId)
    if (!counters) {
      counters = { total: 0, unread: 0, threads: 0, unreadThreads: 0, bytes: 0, uids: 0 }
      this.counters.set(mailboxId, counters)
    }
    counters.total += difference.total ?? 0
    counters.unread += difference.unread ?? 0
    counters.threads += difference.threads ?? 0
    counters.unreadThreads += difference.unreadThreads ?? 0
    counters.bytes += difference.bytes ?? 0
    counters.uids += difference.uids ?? 0
  }

  /** True when nothing was noted: then nothing need be written. */
  get isEmpty(): boolean {
    return this.#objects.size === 0 && this.#uids.size === 0 && this.counters.size === 0
  }

  /** Mailboxes whose row gets the new MODSEQ. */
  touchedMailboxes(): number[] {
    return [...new Set([...this.counters.keys(), ...this.#uids.keys()])]
  }

  delta(): Delta {
    const delta: Delta = {}
    for (const [id, { total, unread, threads, unreadThreads }] of this.counters) {
      const visible = total !== 0 || unread !== 0 || threads !== 0 || unreadThreads !== 0
      if (visible && !this.#objects.get('mc')?.has(id) && !this.#objects.get('md')?.has(id)) this.note('m', 'u', id)
    }
    for (const [key, ids] of this.#objects) {
      const kind = key[0] as LogKind
      const verb = key[1] as LogVerb
      delta[kind] = { ...delta[kind], [verb]: [...ids] }
    }
    for (const [mailboxId, { c, x }] of this.#uids) {
      delta.u ??= {}
      delta.u[mailboxId] = { ...(c.length > 0 && { c: uidSet(c) }), ...(x.length > 0 && { x: uidSet(x) }) }
    }
    return delta
  }

  #uidsOf(mailboxId: number): { c: number[]; x: number[] } {
    let uids = this.#uids.get(mailboxId)
    if (!uids) {
      uids = { c: [], x: [] }
      this.#uids.set(mailboxId, uids)
    }
    return uids
  }
}

function uidSet(uids: number[]): string {
  return formatRanges(toRanges(uids.sort((a, b) => a - b)))
}

/**
 * Takes the writer lock of accounts, in id order, until the transaction ends.
 * @returns per account its present MODSEQ (a change gets the next one), bytes used and quota; accounts that do not exist are missing
 */
export async function lockAccounts(
  tx: Transaction,
  accountIds: readonly number[],
): Promise<Map<number, { modSeq: number; usedBytes: number; quotaBytes: number | undefined }>> {
  const rows = await tx.query<{ id: string; mod_seq: string; used_bytes: string; quota_bytes: string | null }>(
    `select s.account_id as id, s.mod_seq, s.used_bytes, a.quota_bytes
       from account_state s join account a on a.id = s.account_id
      where s.account_id = any($1::bigint[]) order by s.account_id for update of s`,
    [accountIds],
  )
  return new Map(
    rows.map((row) => [
      Number(row.id),
      {
        modSeq: Number(row.mod_seq),
        usedBytes: Number(row.used_bytes),
        quotaBytes: row.quota_bytes === null ? undefined : Number(row.quota_bytes),
      },
    ]),
  )
}

/**
 * Runs a change of one account: takes its writer lock, lets `work` note and do what changes, writes the change.
 * @throws MailboxNotFound when there is no such account
 */
export async function changeAccount<T>(
  db: Database,
  accountId: string,
  work: (
    tx: Transaction,
    change: AccountChange,
    quota: { usedBytes: number; quotaBytes: number | undefined },
  ) => Promise<T>,
): Promise<T> {
  const account = accountNumber(accountId)
  return db.transaction(async (tx) => {
    const locked = (await lockAccounts(tx, [account])).get(account)
    if (!locked) throw new MailboxNotFound(`no account ${accountId}`)
    const change = new AccountChange(account, locked.modSeq + 1)
    const value = await work(tx, change, locked)
    await writeChanges(tx, [change])
    return value
  })
}

/** Writes counters, log rows and notifications of changes in one statement. Empty changes write nothing. */
export async function writeChanges(tx: Transaction, changes: readonly AccountChange[]): Promise<void> {
  const real = changes.filter((change) => !change.isEmpty)
  if (real.length === 0) return
  const mailboxes = real.flatMap((change) =>
    change.touchedMailboxes().map((id) => ({ id, modSeq: change.modSeq, counters: change.counters.get(id) })),
  )
  const counter = (name: keyof MailboxCounters) => mailboxes.map(({ counters }) => counters?.[name] ?? 0)
  await tx.query(
    `with state as (
       update account_state s set mod_seq = c.mod_seq, used_bytes = s.used_bytes + c.bytes
         from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as c (account_id, mod_seq, bytes)
        where s.account_id = c.account_id
     ), log as (
       insert into change_log (account_id, mod_seq, delta)
       select * from unnest($1::bigint[], $2::bigint[], $4::text[])
     ), counters as (
       update mailbox m set highest_mod_seq = c.mod_seq, uid_next = m.uid_next + c.uids,
              total_emails = m.total_emails + c.total, unread_emails = m.unread_emails + c.unread,
              total_threads = m.total_threads + c.threads, unread_threads = m.unread_threads + c.unread_threads,
              size_bytes = m.size_bytes + c.bytes
         from unnest($5::bigint[], $6::bigint[], $7::int[], $8::int[], $9::int[], $10::int[], $11::bigint[], $12::int[])
              as c (id, mod_seq, total, unread, threads, unread_threads, bytes, uids)
        where m.id = c.id
     )
     select pg_notify('${NOTIFY_CHANNEL}', payload) from unnest($13::text[]) as payload`,
    [
      real.map((change) => change.accountId),
      real.map((change) => change.modSeq),
      real.map((change) => change.usedBytes),
      real.map((change) => JSON.stringify(change.delta())),
      mailboxes.map(({ id }) => id),
      mailboxes.map(({ modSeq }) => modSeq),
      counter('total'),
      counter('unread'),
      counter('threads'),
      counter('unreadThreads'),
      counter('bytes'),
      counter('uids'),
      notifications(real),
    ],
  )
}

/** `account:modseq:mailbox,mailbox;account:...`, cut into payloads that Postgres takes. */
function notifications(changes: readonly AccountChange[]): string[] {
  const payloads: string[] = []
  let payload = ''
  for (const change of changes) {
    const touched = change.touchedMailboxes().join(',')
    // Too many mailboxes to name: none means "look at all".
    const entry = `${change.accountId}:${change.modSeq}:${touched.length > NOTIFY_BYTES / 2 ? '' : touched}`
    if (payload !== '' && payload.length + entry.length + 1 > NOTIFY_BYTES) {
      payloads.push(payload)
      payload = ''
    }
    payload = payload === '' ? entry : `${payload};${entry}`
  }
  payloads.push(payload)
  return payloads
}
