/** JMAP's view: Emails across their mailboxes. */
import type { Database } from '../db/database.ts'
import { applyMailChange, type NewMembership } from './apply.ts'
import { changeAccount } from './change-log.ts'
import { type ColumnRow, columnReader, selectColumns } from './columns.ts'
import { accountNumber, formatId, parseId, parseIds } from './ids.ts'
import { keywordSet, sameKeywords } from './keywords.ts'
import { type Membership, readEmailMemberships } from './memberships.ts'
import { keywordList, readThreads } from './threads.ts'
import type { EmailColumn, Keyword, Mailstore } from './types.ts'

type EmailMethods = Pick<Mailstore, 'state' | 'emails' | 'threads' | 'updateEmails' | 'destroyEmails'>

interface EmailRow {
  id: string
  mailbox_ids: string
  mod_seq: string
  keywords: string
}

interface TargetMailbox {
  id: number
  role: string | null
  uidNext: number
}

export function createEmailMethods(db: Database): EmailMethods {
  return {
    async state(accountId) {
      const [row] = await db.query<{ mod_seq: string }>('select mod_seq from account_state where account_id = $1', [
        accountNumber(accountId),
      ])
      return Number(row?.mod_seq ?? 1)
    },

    async emails<C extends EmailColumn>(accountId: string, ids: string[], columns: readonly C[]) {
      const selection = selectColumns(columns)
      const read = columnReader(columns)
      const rows = await db.query<EmailRow & ColumnRow>(
        `select e.id, m.mailbox_ids, m.mod_seq, m.keywords${selection.sql}
           from email e
           join lateral (
             select string_agg(x.mailbox_id::text, ',' order by x.mailbox_id) as mailbox_ids, max(x.mod_seq) as mod_seq,
                    min(array_to_string(x.keywords, ' ')) as keywords, min(x.received_at) as received_at,
                    min(x.size_bytes) as size_bytes, e.thread_id as thread_id
               from membership x where x.thread_id = e.thread_id and x.email_id = e.id
           ) m on m.mailbox_ids is not null
          where e.id = any($2::bigint[]) and e.account_id = $1`,
        [accountNumber(accountId), parseIds('e', ids)],
      )
      const found = new Map(
        rows.map((row) => [
          formatId('e', row.id),
          {
            id: formatId('e', row.id),
            keywords: keywordList(row.keywords),
            mailboxIds: row.mailbox_ids.split(',').map((id) => formatId('m', id)),
            modSeq: Number(row.mod_seq),
            ...read(row),
          },
        ]),
      )
      return ids.map((id) => found.get(id)).filter((email) => email !== undefined)
    },

    async threads(accountId, threadIds) {
      const threads = new Map((await readThreads(db, accountNumber(accountId), threadIds)).map((one) => [one.id, one]))
      return threadIds.map((id) => threads.get(id)).filter((thread) => thread !== undefined)
    },

    async updateEmails(accountId, changes) {
      return changeAccount(db, accountId, async (tx, log) => {
        const emails = await membershipsByEmail(
          tx,
          log.accountId,
          changes.map(({ id }) => id),
        )
        const mailboxes = await readTargets(tx, log.accountId)
        const keywords = new Map<number, { threadId: number; keywords: Keyword[] }>()
        const removed: Membership[] = []
        const added: NewMembership[] = []
        const result = { updated: [] as string[], notFound: [] as string[] }
        for (const change of changes) {
          const present = emails.get(parseId('e', change.id) ?? 0)
          const targets = change.mailboxIds && targetsOf(change.mailboxIds, mailboxes)
          const [first] = present ?? []
          if (!present || !first || (change.mailboxIds && !targets)) {
            result.notFound.push(change.id)
            continue
          }
          result.updated.push(change.id)
          const next = change.keywords ? keywordsOf(change.keywords, first.keywords) : first.keywords
          if (!sameKeywords(next, first.keywords)) {
            keywords.set(first.emailId, { threadId: first.threadId, keywords: next })
          }
          if (!targets) continue
          removed.push(...present.filter((row) => !targets.some(({ id }) => id === row.mailboxId)))
          for (const mailbox of targets.filter(({ id }) => !present.some((row) => row.mailboxId === id))) {
            const { role, id } = mailbox
            added.push({ ...first, keywords: next, mailboxId: id, uid: mailbox.uidNext++, trash: role === 'trash' })
          }
        }
        await applyMailChange(tx, log, { removed, added, keywords })
        return { ...result, modSeq: log.isEmpty ? log.modSeq - 1 : log.modSeq }
      })
    },

    async destroyEmails(accountId, ids) {
      return changeAccount(db, accountId, async (tx, log) => {
        const emails = await membershipsByEmail(tx, log.accountId, ids)
        await applyMailChange(tx, log, { removed: [...emails.values()].flat() })
        const wasThere = (id: string) => emails.has(parseId('e', id) ?? 0)
        return {
          destroyed: ids.filter(wasThere),
          notFound: ids.filter((id) => !wasThere(id)),
          modSeq: log.isEmpty ? log.modSeq - 1 : log.modSeq,
        }
      })
    },
  }
}

async function membershipsByEmail(
  tx: Parameters<typeof readEmailMemberships>[0],
  accountId: number,
  ids: readonly string[],
): Promise<Map<number, Membership[]>> {
  const rows = await readEmailMemberships(tx, accountId, parseIds('e', ids))
  return Map.groupBy(rows, (row) => row.emailId)
}

async function readTargets(
  tx: Parameters<typeof readEmailMemberships>[0],
  accountId: number,
): Promise<Map<string, TargetMailbox>> {
  const rows = await tx.query<{ id: string; role: string | null; uid_next: string }>(
    'select id, role, uid_next from mailbox where account_id = $1',
    [accountId],
  )
  return new Map(
    rows.map((row) => [formatId('m', row.id), { id: Number(row.id), role: row.role, uidNext: Number(row.uid_next) }]),
  )
}

/** @returns undefined when there is none, or one of them does not exist: an Email is always in a mailbox (RFC 8621 §4.1.1) */
function targetsOf(ids: readonly string[], mailboxes: Map<string, TargetMailbox>): TargetMailbox[] | undefined {
  const targets = [...new Set(ids)].map((id) => mailboxes.get(id))
  const known = targets.filter((target) => target !== undefined)
  return known.length > 0 && known.length === targets.length ? known : undefined
}

/** JMAP does not see $deleted (RFC 8621 §4.1.1), so what it sets leaves it alone. */
function keywordsOf(wanted: readonly Keyword[], present: readonly Keyword[]): Keyword[] {
  return keywordSet(present.includes('$deleted') ? [...wanted, '$deleted'] : wanted)
}
