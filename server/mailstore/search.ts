/** Finds messages: IMAP SEARCH in one mailbox, JMAP Email/query over an account. */
import type { Blobs } from '../blob/blobs.ts'
import type { Database } from '../db/database.ts'
import { CANDIDATE_COLUMNS, type CandidateRow, decideRows } from './content.ts'
import { compileFilter } from './filter.ts'
import { accountNumber, parseId } from './ids.ts'
import type { Mailstore } from './types.ts'

export function createSearch(db: Database, blobs: Blobs): Pick<Mailstore, 'search'> {
  return {
    async search(accountId, mailboxId, filter) {
      const values: unknown[] = [accountNumber(accountId), parseId('m', mailboxId) ?? 0]
      const { condition, needsEmail, decide } = compileFilter(filter, values, '$2')
      const rows = await db.query<{ uid: string; mod_seq: string } & CandidateRow>(
        `select m.uid, m.mod_seq${decide ? CANDIDATE_COLUMNS + decide.columns : ''}
           from mailbox b join membership m on m.mailbox_id = b.id ${needsEmail ? 'join email e on e.id = m.email_id' : ''}
          where b.account_id = $1 and b.id = $2 and m.mailbox_id = $2 and ${condition} order by m.uid`,
        values,
      )
      const matching = decide ? await decideRows(db, blobs, rows, decide.filter) : rows
      return matching.map((row) => ({ uid: Number(row.uid), modSeq: Number(row.mod_seq) }))
    },
  }
}
