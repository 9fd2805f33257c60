/**
 * The one place that turns "these memberships become those" into rows, counters, thread counts and the log. Everything
 * that changes stored mail (flags, expunge, copy, move, Email/set, destroy) goes through it.
 */
import type { Transaction } from '../db/database.ts'
import type { AccountChange } from './change-log.ts'
import { deleteMemberships, insertMemberships, type Membership, writeKeywords } from './memberships.ts'
import { countThreads, isUnread, type ThreadRow, threadRows } from './threads.ts'
import type { Keyword } from './types.ts'

/** A membership that comes. Its UID is the mailbox's next one, counted on by the caller. */
export type NewMembership = Omit<Membership, 'modSeq'> & { trash: boolean }

export interface MailChange {
  /** Memberships that go. An email that is left without any is destroyed. */
  removed?: readonly Membership[]
  /** Memberships that come. An email that had none before is new: the caller inserts its row. */
  added?: readonly NewMembership[]
  /** New keywords by email; they hold for all its memberships. */
  keywords?: ReadonlyMap<number, { threadId: number; keywords: Keyword[] }>
}

/** Call it under the account's writer lock; the caller then writes `change`. */
export async function applyMailChange(tx: Transaction, change: AccountChange, mail: MailChange): Promise<void> {
  const { removed = [], added = [], keywords = new Map() } = mail
  const threads = new Set([...removed, ...added, ...keywords.values()].map(({ threadId }) => threadId))
  const before = await threadRows(tx, [...threads])
  const gone = new Set(removed.map(keyOf))
  const rekeyed: ThreadRow[] = []
  const after: ThreadRow[] = added.map((one) => ({ ...one, unread: isUnread(one.keywords) }))
  for (const row of before) {
    if (gone.has(keyOf(row))) continue
    const changed = keywords.get(row.emailId)
    if (!changed) {
      after.push(row)
      continue
    }
    const now = { ...row, keywords: changed.keywords, unread: isUnread(changed.keywords) }
    if (now.unread !== row.unread) change.count(row.mailboxId, { unread: now.unread ? 1 : -1 })
    change.changed(row.mailboxId, row.uid)
    rekeyed.push(now)
    after.push(now)
  }
  noteRemoved(change, removed)
  noteAdded(change, added)
  countThreads(change, before, after)
  const destroyed = noteObjects(change, mail, before, after)

  await deleteMemberships(tx, removed)
  await Promise.all([
    writeKeywords(tx, change.modSeq, rekeyed),
    insertMemberships(
      tx,
      added.map((one) => ({ ...one, modSeq: change.modSeq })),
    ),
    deleteEmails(tx, destroyed),
  ])
}

function keyOf({ mailboxId, uid }: { mailboxId: number; uid: number }): string {
  return `${mailboxId}:${uid}`
}

function noteRemoved(change: AccountChange, removed: readonly Membership[]): void {
  for (const { mailboxId, uid, sizeBytes, keywords } of removed) {
    change.count(mailboxId, { total: -1, unread: isUnread(keywords) ? -1 : 0, bytes: -sizeBytes })
    change.vanished(mailboxId, uid)
  }
}

function noteAdded(change: AccountChange, added: readonly NewMembership[]): void {
  for (const { mailboxId, uid, sizeBytes, keywords } of added) {
    change.count(mailboxId, { total: 1, unread: isUnread(keywords) ? 1 : 0, bytes: sizeBytes, uids: 1 })
    change.changed(mailboxId, uid)
  }
}

/** Notes emails and threads that were created, updated or destroyed. @returns the destroyed emails */
function noteObjects(
  change: AccountChange,
  { removed = [], added = [], keywords = new Map() }: MailChange,
  before: readonly ThreadRow[],
  after: readonly ThreadRow[],
): number[] {
  const existed = new Set(before.map(({ emailId }) => emailId))
  const remain = new Set(after.map(({ emailId }) => emailId))
  const threadsBefore = new Set(before.map(({ threadId }) => threadId))
  const threadsAfter = new Set(after.map(({ threadId }) => threadId))
  const noteThread = (threadId: number) => {
    if (!threadsAfter.has(threadId)) change.note('t', 'd', threadId)
    else change.note('t', threadsBefore.has(threadId) ? 'u' : 'c', threadId)
  }
  const destroyed = new Set<number>()
  for (const { emailId, threadId, sizeBytes } of removed) {
    if (remain.has(emailId)) {
      change.note('e', 'u', emailId)
    } else if (!destroyed.has(emailId)) {
      destroyed.add(emailId)
      change.note('e', 'd', emailId)
      change.usedBytes -= sizeBytes
      noteThread(threadId)
    }
  }
  const created = new Set<number>()
  for (const { emailId, threadId, sizeBytes } of added) {
    if (existed.has(emailId)) {
      change.note('e', 'u', emailId)
    } else if (!created.has(emailId)) {
      created.add(emailId)
      change.note('e', 'c', emailId)
      change.usedBytes += sizeBytes
      noteThread(threadId)
    }
  }
  for (const emailId of keywords.keys()) if (remain.has(emailId)) change.note('e', 'u', emailId)
  return [...destroyed]
}

/** Their blobs become suspects: see blob/gc.ts. */
async function deleteEmails(tx: Transaction, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return
  await tx.query(
    `with gone as (delete from email where id = any($1::bigint[]) returning blob_id)
     insert into blob_orphan (blob_id) select distinct blob_id from gone order by blob_id
     on conflict (blob_id) do update set since = now()`,
    [ids],
  )
}
