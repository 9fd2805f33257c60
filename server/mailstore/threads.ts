/** Which thread a message belongs to (RFC 8621 §3), and how many threads of a mailbox are unread (§2). */
import type { Transaction } from '../db/database.ts'
import type { AccountChange } from './change-log.ts'
import { formatId, parseIds } from './ids.ts'
import type { Keyword } from './types.ts'

/** Neither $seen nor $draft: what unreadEmails and unreadThreads count (RFC 8621 §2). */
export function isUnread(keywords: readonly Keyword[]): boolean {
  return !keywords.includes('$seen') && !keywords.includes('$draft')
}

/** That a thread has an email in a mailbox: what the thread counters are made of. */
export interface ThreadPresence {
  threadId: number
  mailboxId: number
  /** In the mailbox with the trash role, which RFC 8621 §2 counts apart. */
  trash: boolean
  unread: boolean
}

/** One membership of a thread's email. */
export interface ThreadRow extends ThreadPresence {
  emailId: number
  uid: number
  keywords: Keyword[]
}

/** Per thread and mailbox one row, however long the thread: a delivery to a long one must not read all of it. */
export async function threadPresences(tx: Transaction, threadIds: readonly number[]): Promise<ThreadPresence[]> {
  if (threadIds.length === 0) return []
  const rows = await tx.query<{ thread_id: string; mailbox_id: string; trash: boolean; unread: boolean }>(
    `select t.thread_id, t.mailbox_id, b.role is not distinct from 'trash' as trash, t.unread
       from (select thread_id, mailbox_id, bool_or(not keywords && array['$seen', '$draft']) as unread
               from membership where thread_id = any($1::bigint[]) group by thread_id, mailbox_id) as t
       join mailbox b on b.id = t.mailbox_id`,
    [threadIds],
  )
  return rows.map(({ thread_id, mailbox_id, trash, unread }) => ({
    threadId: Number(thread_id),
    mailboxId: Number(mailbox_id),
    trash,
    unread,
  }))
}

/** All memberships of all emails of these threads. Call it under the account's writer lock. */
export async function threadRows(tx: Transaction, threadIds: readonly number[]): Promise<ThreadRow[]> {
  if (threadIds.length === 0) return []
  const rows = await tx.query<{
    thread_id: string
    email_id: string
    mailbox_id: string
    uid: string
    trash: boolean
    keywords: string
  }>(
    `select m.thread_id, m.email_id, m.mailbox_id, m.uid, b.role is not distinct from 'trash' as trash,
            array_to_string(m.keywords, ' ') as keywords
       from membership m join mailbox b on b.id = m.mailbox_id
      where m.thread_id = any($1::bigint[])`,
    [threadIds],
  )
  return rows.map((row) => {
    const keywords = keywordList(row.keywords)
    return {
      threadId: Number(row.thread_id),
      emailId: Number(row.email_id),
      mailboxId: Number(row.mailbox_id),
      uid: Number(row.uid),
      trash: row.trash,
      keywords,
      unread: isUnread(keywords),
    }
  })
}

/** Reads array_to_string(keywords, ' '): the driver's own array parser is slow by the ten thousand. */
export function keywordList(text: string): Keyword[] {
  return text === '' ? [] : text.split(' ')
}

/** Notes how the thread counters of mailboxes differ between two states of the same threads. */
export function countThreads(
  change: AccountChange,
  before: readonly ThreadPresence[],
  after: readonly ThreadPresence[],
): void {
  for (const [mailboxId, counts] of threadCounts(before)) {
    change.count(mailboxId, { threads: -counts.threads, unreadThreads: -counts.unread })
  }
  for (const [mailboxId, counts] of threadCounts(after)) {
    change.count(mailboxId, { threads: counts.threads, unreadThreads: counts.unread })
  }
}

function threadCounts(rows: readonly ThreadPresence[]): Map<number, { threads: number; unread: number }> {
  const threads = new Map<number, { mailboxes: Map<number, boolean>; unread: boolean; unreadInTrash: boolean }>()
  for (const row of rows) {
    let thread = threads.get(row.threadId)
    if (!thread) {
      thread = { mailboxes: new Map(), unread: false, unreadInTrash: false }
      threads.set(row.threadId, thread)
    }
    thread.mailboxes.set(row.mailboxId, row.trash)
    if (!row.unread) continue
    if (row.trash) thread.unreadInTrash = true
    else thread.unread = true
  }
  const counts = new Map<number, { threads: number; unread: number }>()
  for (const { mailboxes, unread, unreadInTrash } of threads.values()) {
    for (const [mailboxId, trash] of mailboxes) {
      let count = counts.get(mailboxId)
      if (!count) {
        count = { threads: 0, unread: 0 }
        counts.set(mailboxId, count)
      }
      count.threads++
      if (trash ? unreadInTrash : unread) count.unread++
    }
  }
  return counts
}

/**
 * Threads that messages with these references join.
 * @param refs pairs of account and reference, see PreparedMessage.threadRefs
 * @returns thread by `account:ref`
 */
export async function findThreads(
  tx: Transaction,
  refs: readonly { accountId: number; ref: string }[],
): Promise<Map<string, number>> {
  if (refs.length === 0) return new Map()
  const rows = await tx.query<{ account_id: string; ref: string; thread_id: string }>(
    `select t.account_id, t.ref, t.thread_id
       from unnest($1::bigint[], $2::bigint[]) as r (account_id, ref)
       join thread_ref t on t.account_id = r.account_id and t.ref = r.ref`,
    [refs.map(({ accountId }) => accountId), refs.map(({ ref }) => ref)],
  )
  return new Map(rows.map((row) => [`${row.account_id}:${row.ref}`, Number(row.thread_id)]))
}

/** Emails of each thread, oldest first; unknown ids are left out. */
export async function readThreads(
  tx: Transaction,
  account: number,
  ids: readonly string[],
): Promise<{ id: string; emailIds: string[] }[]> {
  const rows = await tx.query<{ thread_id: string; email_ids: string[] }>(
    `select thread_id, array_agg(email_id order by received_at, email_id) as email_ids
       from (select distinct m.thread_id, m.email_id, m.received_at
               from membership m join mailbox b on b.id = m.mailbox_id
              where m.thread_id = any($1::bigint[]) and b.account_id = $2) as e
      group by thread_id`,
    [parseIds('t', ids), account],
  )
  return rows.map((row) => ({
    id: formatId('t', row.thread_id),
    emailIds: row.email_ids.map((id) => formatId('e', id)),
  }))
}
