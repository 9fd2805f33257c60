/** Mailboxes as rows and as the protocols see them, and the ones that every account begins with. */
import type { Queryable, Transaction } from '../db/database.ts'
import { formatId } from './ids.ts'
import { type Mailbox, MailboxNotFound, type MailboxRole } from './types.ts'

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
 * Takes the next UIDVALIDITYs of an account: each greater than any that one of its mailboxes ever had, so that no name has
 * one twice, whichever mailbox was deleted or renamed, and whatever the clock says (RFC 9051 §2.3.1.1). They begin at the
 * quarters of a second since 2024, which last until 2058.
 * @param count at least 1
 * @returns the first; the others follow it
 */
export async function takeUidValidities(
  tx: Transaction,
  accountId: string | number,
  now: Date,
  count = 1,
): Promise<number> {
  const fromClock = Math.max(1, Math.floor((now.getTime() - Date.UTC(2024, 0)) / 250) % 2 ** 32)
  const [row] = await tx.query<{ last: string }>(
    `update account_state s set last_uid_validity = $3::int - 1 + greatest($2::bigint, s.last_uid_validity + 1,
            (select max(uid_validity) + 1 from mailbox b where b.account_id = s.account_id))
      where s.account_id = $1 returning s.last_uid_validity as last`,
    [accountId, fromClock, count],
  )
  if (!row) throw new MailboxNotFound(`no account ${accountId}`)
  return Number(row.last) - count + 1
}

/** Creates the mailboxes of a new account. */
export async function createDefaultMailboxes(tx: Transaction, accountId: string, now: Date): Promise<void> {
  await tx.query(
    `insert into mailbox (account_id, name, path, role, sort_order, uid_validity, highest_mod_seq)
     select $1, name, name, role, sort_order, $5 + place - 1, 1
       from unnest($2::text[], $3::text[], $4::int[]) with ordinality as d (name, role, sort_order, place)`,
    [
      accountId,
      DEFAULT_MAILBOXES.map(({ name }) => name),
      DEFAULT_MAILBOXES.map(({ role }) => role),
      DEFAULT_MAILBOXES.map(({ sortOrder }) => sortOrder),
      await takeUidValidities(tx, accountId, now, DEFAULT_MAILBOXES.length),
    ],
  )
}

export async function readMailboxRows(db: Queryable, accountId: number): Promise<MailboxRow[]> {
  return db.query<MailboxRow>(
    `select ${MAILBOX_COLUMNS} from mailbox b where b.account_id = $1 order by b.sort_order, b.path`,
    [accountId],
  )
}
