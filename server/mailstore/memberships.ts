/** Reads messages of a mailbox for a change of them, under the account's writer lock. */
import type { Transaction } from '../db/database.ts'
import { rangesCondition } from './ranges.ts'
import { keywordList } from './threads.ts'
import type { Keyword, Ranges } from './types.ts'

export interface Membership {
  mailboxId: number
  uid: number
  emailId: number
  threadId: number
  receivedAt: number
  sizeBytes: number
  modSeq: number
  keywords: Keyword[]
}

interface Row {
  mailbox_id: string
  uid: string
  email_id: string
  thread_id: string
  received_at: string
  size_bytes: number
  mod_seq: string
  keywords: string
}

const COLUMNS = `m.mailbox_id, m.uid, m.email_id, m.thread_id, m.received_at, m.size_bytes, m.mod_seq,
  array_to_string(m.keywords, ' ') as keywords`

/** Messages of one mailbox by UID, ascending. `ranges` of undefined is all. */
export async function readMemberships(
  tx: Transaction,
  mailboxId: number,
  ranges: Ranges | undefined,
  { keyword, limit }: { keyword?: Keyword; limit?: number } = {},
): Promise<Membership[]> {
  const values: unknown[] = [mailboxId]
  const conditions = ['m.mailbox_id = $1']
  if (ranges) conditions.push(rangesCondition('m.uid', '$1', ranges, values))
  if (keyword !== undefined) conditions.push(`$${values.push(keyword)} = any(m.keywords)`)
  const rows = await tx.query<Row>(
    `select ${COLUMNS} from membership m where ${conditions.join(' and ')} order by m.uid
      limit $${values.push(limit ?? null)}::bigint`,
    values,
  )
  return rows.map(toMembership)
}

/** All memberships of emails of one account, by email and mailbox. */
export async function readEmailMemberships(
  tx: Transaction,
  accountId: number,
  emailIds: readonly number[],
): Promise<Membership[]> {
  const rows = await tx.query<Row>(
    `select ${COLUMNS} from email e join membership m on m.thread_id = e.thread_id and m.email_id = e.id
      where e.id = any($2::bigint[]) and e.account_id = $1 order by m.email_id, m.mailbox_id, m.uid`,
    [accountId, emailIds],
  )
  return rows.map(toMembership)
}

function toMembership(row: Row): Membership {
  return {
    mailboxId: Number(row.mailbox_id),
    uid: Number(row.uid),
    emailId: Number(row.email_id),
    threadId: Number(row.thread_id),
    receivedAt: Number(row.received_at),
    sizeBytes: row.size_bytes,
    modSeq: Number(row.mod_seq),
    keywords: keywordList(row.keywords),
  }
}

/** Writes new keywords and the MODSEQ of the change. */
export async function writeKeywords(
  tx: Transaction,
  modSeq: number,
  changed: readonly { mailboxId: number; uid: number; keywords: readonly Keyword[] }[],
): Promise<void> {
  if (changed.length === 0) return
  await tx.query(
    `update membership m set mod_seq = $1, keywords = string_to_array(c.keywords, ' ')
       from unnest($2::bigint[], $3::bigint[], $4::text[]) as c (mailbox_id, uid, keywords)
      where m.mailbox_id = c.mailbox_id and m.uid = c.uid`,
    [
      modSeq,
      changed.map(({ mailboxId }) => mailboxId),
      changed.map(({ uid }) => uid),
      changed.map(({ keywords }) => keywords.join(' ')),
    ],
  )
}

/** Puts emails into mailboxes under UIDs that the caller counted (AccountChange.count, uids). */
export async function insertMemberships(tx: Transaction, added: readonly Membership[]): Promise<void> {
  if (added.length === 0) return
  await tx.query(
    `insert into membership (mailbox_id, uid, email_id, thread_id, received_at, size_bytes, mod_seq, keywords)
     select mailbox_id, uid, email_id, thread_id, received, size, mod_seq, string_to_array(keywords, ' ')
       from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::text[])
            as m (mailbox_id, uid, email_id, thread_id, received, size, mod_seq, keywords)`,
    [
      added.map(({ mailboxId }) => mailboxId),
      added.map(({ uid }) => uid),
      added.map(({ emailId }) => emailId),
      added.map(({ threadId }) => threadId),
      added.map(({ receivedAt }) => receivedAt),
      added.map(({ sizeBytes }) => sizeBytes),
      added.map(({ modSeq }) => modSeq),
      added.map(({ keywords }) => keywords.join(' ')),
    ],
  )
}

/** Takes emails out of mailboxes; emails that are in none any more are deleted by deleteOrphans. */
export async function deleteMemberships(
  tx: Transaction,
  removed: readonly { mailboxId: number; uid: number }[],
): Promise<void> {
  if (removed.length === 0) return
  await tx.query(
    `delete from membership m using unnest($1::bigint[], $2::bigint[]) as r (mailbox_id, uid)
      where m.mailbox_id = r.mailbox_id and m.uid = r.uid`,
    [removed.map(({ mailboxId }) => mailboxId), removed.map(({ uid }) => uid)],
  )
}
