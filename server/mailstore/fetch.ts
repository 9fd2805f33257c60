/** Reads the messages of a mailbox from the index, in pages. */
import type { Database } from '../db/database.ts'
import { type ColumnRow, columnReader, selectColumns } from './columns.ts'
import { formatId, parseId } from './ids.ts'
import { rangesCondition } from './ranges.ts'
import { keywordList } from './threads.ts'
import type { EmailColumn, FetchedMessage, MessageRow, ModSeq, Ranges } from './types.ts'

/** Messages per statement: few round trips for ten thousand, bounded memory for a million. */
const PAGE = 1000

export interface MembershipRow {
  uid: string
  email_id: string
  mod_seq: string
  keywords: string
}

/** Columns of MembershipRow, of a table called m. */
export const MEMBERSHIP_COLUMNS = `m.uid, m.email_id, m.mod_seq, array_to_string(m.keywords, ' ') as keywords`

export function toMessageRow(row: MembershipRow): MessageRow {
  return {
    uid: Number(row.uid),
    emailId: formatId('e', row.email_id),
    keywords: keywordList(row.keywords),
    modSeq: Number(row.mod_seq),
  }
}

/** Mailstore.fetch */
export async function* fetchMessages<C extends EmailColumn>(
  db: Database,
  mailboxId: string,
  ranges: Ranges | undefined,
  columns: readonly C[],
  options: { changedSince?: ModSeq } = {},
): AsyncGenerator<FetchedMessage<C>[]> {
  const mailbox = parseId('m', mailboxId)
  if (mailbox === undefined) return
  const selection = selectColumns(columns)
  const read = columnReader(columns)

  function page(after: number): Promise<(MembershipRow & ColumnRow)[]> {
    const values: unknown[] = [mailbox, after]
    const conditions = ['m.mailbox_id = $1', 'm.uid > $2']
    if (ranges) conditions.push(rangesCondition('m.uid', '$1', rangesAfter(ranges, after), values))
    if (options.changedSince !== undefined) conditions.push(`m.mod_seq > $${values.push(options.changedSince)}`)
    return db.query(
      `select ${MEMBERSHIP_COLUMNS}${selection.sql}
         from membership m ${selection.needsEmail ? 'join email e on e.id = m.email_id' : ''}
        where ${conditions.join(' and ')} order by m.uid limit ${PAGE}`,
      values,
    )
  }

  let next: Promise<(MembershipRow & ColumnRow)[]> | undefined = page(0)
  while (next) {
    const rows: (MembershipRow & ColumnRow)[] = await next
    const last = rows.at(-1)
    // Read ahead while the caller writes this page to its client.
    next = last && rows.length === PAGE ? page(Number(last.uid)) : undefined
    next?.catch(() => {}) // the caller may stop before it asks for it
    if (rows.length > 0) yield rows.map((row) => Object.assign(toMessageRow(row), read(row)))
  }
}

/** What is left of ranges behind a UID. */
function rangesAfter(ranges: Ranges, after: number): Ranges {
  return ranges.filter(([, last]) => last > after)
}
