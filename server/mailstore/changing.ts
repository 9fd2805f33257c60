/** IMAP's changes of a mailbox: flags, expunge, copy, move. */
import type { Database, Transaction } from '../db/database.ts'
import { applyMailChange, type NewMembership } from './apply.ts'
import { type AccountChange, changeAccount } from './change-log.ts'
import type { EmailIds } from './email-ids.ts'
import { accountNumber, formatId, parseId } from './ids.ts'
import { keywordSet, sameKeywords } from './keywords.ts'
import { type Membership, readEmailMemberships, readMemberships } from './memberships.ts'
import { type FlagChange, type Keyword, MailboxNotFound, type Mailstore, OverQuota, type Ranges } from './types.ts'

type ChangingMethods = Pick<Mailstore, 'changeFlags' | 'expunge' | 'copy' | 'move'>

interface MailboxState {
  id: number
  role: string | null
  uidValidity: number
  uidNext: number
}

export function createChangingMethods(db: Database, emailIds: EmailIds): ChangingMethods {
  return {
    async changeFlags(accountId, mailboxId, ranges, change, unchangedSince) {
      const wanted: FlagChange = { op: change.op, keywords: keywordSet(change.keywords) }
      return changeAccount(db, accountId, async (tx, log) => {
        const mailbox = await readMailbox(tx, log.accountId, mailboxId)
        const rows = await readMemberships(tx, mailbox.id, ranges)
        const left = rows.filter((row) => unchangedSince !== undefined && row.modSeq > unchangedSince)
        const keywords = new Map<number, { threadId: number; keywords: Keyword[] }>()
        const updated = rows
          .filter((row) => unchangedSince === undefined || row.modSeq <= unchangedSince)
          .map((row) => {
            const next = changedKeywords(row.keywords, wanted)
            if (sameKeywords(next, row.keywords)) return row
            keywords.set(row.emailId, { threadId: row.threadId, keywords: next })
            return { ...row, keywords: next, modSeq: log.modSeq }
          })
        if (keywords.size > 0) await applyMailChange(tx, log, { keywords })
        return {
          updated: updated.map((row) => ({
            uid: row.uid,
            emailId: formatId('e', row.emailId),
            keywords: row.keywords,
            modSeq: row.modSeq,
          })),
          modified: left.map(({ uid }) => uid),
          modSeq: keywords.size > 0 ? log.modSeq : undefined,
        }
      })
    },

    async expunge(accountId, mailboxId, ranges) {
      return changeAccount(db, accountId, async (tx, change) => {
        const mailbox = await readMailbox(tx, change.accountId, mailboxId)
        const removed = await readMemberships(tx, mailbox.id, ranges, { keyword: '$deleted' })
        if (removed.length === 0) return { uids: [], modSeq: change.modSeq - 1 }
        await applyMailChange(tx, change, { removed })
        return { uids: removed.map(({ uid }) => uid), modSeq: change.modSeq }
      })
    },

    async copy(accountId, mailboxId, ranges, targetId) {
      return changeAccount(db, accountId, async (tx, change, quota) => {
        const { target, rows } = await readBoth(tx, change, mailboxId, ranges, targetId)
        const bytes = rows.reduce((sum, row) => sum + row.sizeBytes, 0)
        if (quota.quotaBytes !== undefined && quota.usedBytes + bytes > quota.quotaBytes) {
          throw new OverQuota(`account ${accountId} is over its quota`)
        }
        const takeId = await emailIds.reserve(tx, rows.length)
        const added = intoMailbox(rows, target).map((one) => ({ ...one, emailId: takeId() }))
        await copyEmails(
          tx,
          rows.map((row, index) => ({ from: row.emailId, to: added[index]?.emailId ?? 0 })),
        )
        await applyMailChange(tx, change, { added })
        return { uidValidity: target.uidValidity, pairs: pairs(rows, added) }
      })
    },

    async move(accountId, mailboxId, ranges, targetId) {
      return changeAccount(db, accountId, async (tx, change) => {
        const { target, rows } = await readBoth(tx, change, mailboxId, ranges, targetId)
        const emailsMoved = rows.map(({ emailId }) => emailId)
        // An email is in a mailbox once: where it was in the target already, it gets a new UID there.
        const replaced = (await readEmailMemberships(tx, accountNumber(accountId), emailsMoved)).filter(
          (row) => row.mailboxId === target.id && parseId('m', mailboxId) !== target.id,
        )
        const added = intoMailbox(rows, target)
        await applyMailChange(tx, change, { removed: [...rows, ...replaced], added })
        return { uidValidity: target.uidValidity, pairs: pairs(rows, added) }
      })
    },
  }
}

/** RFC 9051 §6.4.6. */
function changedKeywords(present: readonly Keyword[], { op, keywords }: FlagChange): Keyword[] {
  if (op === 'replace') return [...keywords]
  if (op === 'add') return [...new Set([...present, ...keywords])]
  return present.filter((keyword) => !keywords.includes(keyword))
}

async function readMailbox(tx: Transaction, accountId: number, mailboxId: string): Promise<MailboxState> {
  const [row] = await tx.query<{ id: string; role: string | null; uid_validity: string; uid_next: string }>(
    'select id, role, uid_validity, uid_next from mailbox where account_id = $1 and id = $2',
    [accountId, parseId('m', mailboxId) ?? 0],
  )
  if (!row) throw new MailboxNotFound(`no mailbox ${mailboxId}`)
  return { id: Number(row.id), role: row.role, uidValidity: Number(row.uid_validity), uidNext: Number(row.uid_next) }
}

async function readBoth(
  tx: Transaction,
  change: AccountChange,
  mailboxId: string,
  ranges: Ranges,
  targetId: string,
): Promise<{ target: MailboxState; rows: Membership[] }> {
  const source = await readMailbox(tx, change.accountId, mailboxId)
  const target = await readMailbox(tx, change.accountId, targetId)
  return { target, rows: await readMemberships(tx, source.id, ranges) }
}

/** The same messages under the next UIDs of another mailbox, in their order (RFC 4315 §3). */
function intoMailbox(rows: readonly Membership[], target: MailboxState): NewMembership[] {
  return rows.map((row, index) => ({
    ...row,
    mailboxId: target.id,
    uid: target.uidNext + index,
    trash: target.role === 'trash',
  }))
}

function pairs(rows: readonly Membership[], added: readonly NewMembership[]): [number, number][] {
  return rows.map((row, index) => [row.uid, added[index]?.uid ?? 0])
}

/** The same bytes and columns under new ids, in the same thread. */
async function copyEmails(tx: Transaction, copies: readonly { from: number; to: number }[]): Promise<void> {
  await tx.query(
    `insert into email (id, account_id, thread_id, blob_id, size_bytes, received_at, sent_at, sent_day, has_attachment, envelope,
                        structure, headers, preview, search_subject, search_from, search_to, search_cc, search_bcc)
     select c.copy, account_id, thread_id, blob_id, size_bytes, received_at, sent_at, sent_day, has_attachment, envelope,
            structure, headers, preview, search_subject, search_from, search_to, search_cc, search_bcc
       from unnest($1::bigint[], $2::bigint[]) as c (original, copy) join email e on e.id = c.original`,
    [copies.map(({ from }) => from), copies.map(({ to }) => to)],
  )
}
