/** Mailboxes as rows and as the protocols see them, and the ones that every account begins with. */
import type { Queryable, Transaction } from '../db/database.ts'
import { formatId } from './ids.ts'
import type { Mailbox, MailboxRole } from './types.ts'

export interface MailboxRow {
  id: string
  account_id: string
  parent_id: string | null
  name: string
  path: string
  role: MailboxRole | null
  sort_order: number
  subscribed: boolean
  uid_validity: string
  uid_next: string
  highest_mod_seq: string
  total_emails: number
  unread_emails: number
  total_threads: number
  unread_threads: number
  size_bytes: string
}

/** Columns of MailboxRow, of a table called b. */
export const MAILBOX_COLUMNS = `b.id, b.account_id, b.parent_id, b.name, b.path, b.role, b.sort_order, b.subscribed,
  b.uid_validity, b.uid_next, b.highest_mod_seq, b.total_emails, b.unread_emails, b.total_threads, b.unread_threads,
  b.size_bytes`

/** Names by RFC 6154 and the order in which clients show them. */
const DEFAULT_MAILBOXES: { name: string; role: MailboxRole; sortOrder: number }[] = [
  { name: 'INBOX', role: 'inbox', sortOrder: 1 },
  { name: 'Drafts', role: 'drafts', sortOrder: 2 },
  { name: 'Sent', role: 'sent', sortOrder: 3 },
  { name: 'Archive', role: 'archive', sortOrder: 4 },
  { name: 'Junk', role: 'junk', sortOrder: 5 },
  { name: 'Trash', role: 'trash', sortOrder: 6 },
]

export function toMailbox(row: MailboxRow): Mailbox {
  return {
    id: formatId('m', row.id),
    accountId: formatId('a', row.account_id),
    parentId: row.parent_id === null ? null : formatId('m', row.parent_id),
    name: row.name,
    path: row.path,
    role: row.role,
    sortOrder: row.sort_order,
    subscribed: row.subscribed,
    uidValidity: Number(row.uid_validity),
    uidNext: Number(row.uid_next),
    highestModSeq: Number(row.highest_mod_seq),
    totalEmails: row.total_emails,
    unreadEmails: row.unread_emails,
    totalThreads: row.total_threads,
    unreadThreads: row.unread_threads,
    sizeBytes: Number(row.size_bytes),
  }
}

/**
 * A UIDVALIDITY greater than that of any earlier mailbox of the same name (RFC 9051 §2.3.1.1): quarters of a second since
 * 2024, which last until 2058.
 */
export function newUidValidity(now: Date): number {
  return Math.max(1, Math.floor((now.getTime() - Date.UTC(2024, 0)) / 250) % 2 ** 32)
}

/** Creates the mailboxes of a new account. */
export async function createDefaultMailboxes(tx: Transaction, accountId: string, now: Date): Promise<void> {
  await tx.query(
    `insert into mailbox (account_id, name, path, role, sort_order, uid_validity, highest_mod_seq)
     select $1, name, name, role, sort_order, $5, 1
       from unnest($2::text[], $3::text[], $4::int[]) as d (name, role, sort_order)`,
    [
      accountId,
      DEFAULT_MAILBOXES.map(({ name }) => name),
      DEFAULT_MAILBOXES.map(({ role }) => role),
      DEFAULT_MAILBOXES.map(({ sortOrder }) => sortOrder),
      newUidValidity(now),
    ],
  )
}

export async function readMailboxRows(db: Queryable, accountId: number): Promise<MailboxRow[]> {
  return db.query<MailboxRow>(
    `select ${MAILBOX_COLUMNS} from mailbox b where b.account_id = $1 order by b.sort_order, b.path`,
    [accountId],
  )
}
