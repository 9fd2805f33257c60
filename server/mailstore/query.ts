/** Email/query (RFC 8621 §4.4): filter, sort, collapse threads, window. */
import type { Blobs } from '../blob/blobs.ts'
import type { Database } from '../db/database.ts'
import { CANDIDATE_COLUMNS, type CandidateRow, decideRows } from './content.ts'
import { type CompiledFilter, compileFilter, requiredMailbox } from './filter.ts'
import { accountNumber, formatId, parseId } from './ids.ts'
import {
  AnchorNotFound,
  type EmailFilter,
  type EmailQuery,
  type EmailQueryResult,
  type EmailSort,
  type Mailstore,
} from './types.ts'

/** Rows read at a time when the result is walked in index order. */
const MIN_PAGE = 100
const MAX_PAGE = 5_000

interface Hit {
  email_id: string
  thread_id: string
  received_at: string
}

interface Plan {
  /** The mailbox, or all of the account's; without one, `condition` is looked at in each mailbox. */
  scope: string
  accountWide: boolean
  condition: string
  compiled: CompiledFilter
  values: unknown[]
  /** The walk follows the index (mailbox_id, received_at, email_id). */
  direction: 'asc' | 'desc' | undefined
  orderBy: string
  needsEmail: boolean
}

interface Head {
  state: number
  /** Of the required mailbox; undefined when there is none. */
  mailbox: { id: number; totalEmails: number; totalThreads: number } | undefined
}

export function createQuery(db: Database, blobs: Blobs): Pick<Mailstore, 'query'> {
  return {
    async query(accountId, query) {
      const account = accountNumber(accountId)
      const mailboxId = requiredMailbox(query.filter)
      const head = await readHead(account, mailboxId)
      const empty = { ids: [], position: 0, total: query.calculateTotal ? 0 : undefined, state: head.state }
      if (mailboxId !== undefined && !head.mailbox) return empty
      const plan = planQuery(account, head.mailbox?.id, query)
      const known = plainTotal(query, head)
      const start = query.position < 0 && known !== undefined ? Math.max(0, known + query.position) : query.position
      if (plan.direction && !query.anchor && start >= 0 && !plan.compiled.decide) {
        const [ids, total] = await Promise.all([
          walk(plan, start, query.limit, query.collapseThreads),
          query.calculateTotal ? (known ?? count(plan, query.collapseThreads)) : undefined,
        ])
        return { ids, position: start, total, state: head.state }
      }
      return windowOf(await readAll(plan, query.collapseThreads), query, head.state)
    },
  }

  /** The state comes from before the messages are read: the client may be told of a change twice, but never misses one. */
  async function readHead(account: number, mailboxId: string | undefined): Promise<Head> {
    const [row] = await db.query<{ mod_seq: string; id: string | null; total_emails: number; total_threads: number }>(
      `select s.mod_seq, b.id, b.total_emails, b.total_threads
         from account_state s left join mailbox b on b.account_id = s.account_id and b.id = $2 where s.account_id = $1`,
      [account, mailboxId === undefined ? 0 : (parseId('m', mailboxId) ?? 0)],
    )
    const mailbox = row?.id
      ? { id: Number(row.id), totalEmails: row.total_emails, totalThreads: row.total_threads }
      : undefined
    return { state: Number(row?.mod_seq ?? 1), mailbox }
  }

  /** The whole result, in order, each email (or thread) once. */
  async function readAll(plan: Plan, collapse: boolean): Promise<string[]> {
    const { compiled, orderBy, scope, condition, values } = plan
    const content = compiled.decide ? CANDIDATE_COLUMNS + compiled.decide.columns : ''
    const rows = await db.query<Hit & CandidateRow>(
      `select m.email_id, m.thread_id${content} from ${tables(plan)} where ${scope} and ${condition} order by ${orderBy}`,
      values,
    )
    const once = distinct(rows, (row) => row.email_id)
    const matching = compiled.decide ? await decideRows(db, blobs, once, compiled.decide.filter) : once
    const shown = collapse ? distinct(matching, (row) => row.thread_id) : matching
    return shown.map((row) => formatId('e', row.email_id))
  }

  async function count(plan: Plan, collapse: boolean): Promise<number> {
    const [row] = await db.query<{ total: string }>(
      `select count(distinct m.${collapse ? 'thread_id' : 'email_id'}) as total
         from ${tables(plan)} where ${plan.scope} and ${plan.condition}`,
      plan.values,
    )
    return Number(row?.total)
  }

  /** Follows the index from its end and stops as soon as the window is full: as fast in a large mailbox as in a small one. */
  async function walk(plan: Plan, position: number, limit: number, collapse: boolean): Promise<string[]> {
    const ids: string[] = []
    const seen = new Set<string>()
    const page = Math.min(MAX_PAGE, Math.max(MIN_PAGE, position + limit))
    let last: Hit | undefined
    while (ids.length < limit) {
      const values = [...plan.values]
      const after = last
        ? `and (m.received_at, m.email_id) ${plan.direction === 'desc' ? '<' : '>'}
               ($${values.push(last.received_at)}::bigint, $${values.push(last.email_id)}::bigint)`
        : ''
      const rows: Hit[] = await db.query<Hit>(pageOf(plan, after, page), values)
      for (const row of rows) {
        const key = collapse ? row.thread_id : row.email_id
        if (seen.has(key)) continue
        seen.add(key)
        if (seen.size > position && ids.length < limit) ids.push(formatId('e', row.email_id))
      }
      last = rows.at(-1)
      if (rows.length < page) break
    }
    return ids
  }
}

/** The next rows in index order; for a whole account the first of each mailbox's, merged. */
function pageOf(plan: Plan, after: string, page: number): string {
  const { scope, condition, orderBy, accountWide } = plan
  const rowsOf = (where: string) =>
    `select m.email_id, m.thread_id, m.received_at from ${tables(plan)}
      where ${where} and ${condition} ${after} order by ${orderBy} limit ${page}`
  if (!accountWide) return rowsOf(scope)
  return `select m.email_id, m.thread_id, m.received_at
            from mailbox b cross join lateral (${rowsOf('m.mailbox_id = b.id')}) m
           where b.account_id = $1 order by ${orderBy} limit ${page}`
}

function tables({ needsEmail }: Plan): string {
  return needsEmail ? 'membership m join email e on e.id = m.email_id' : 'membership m'
}

function planQuery(account: number, mailbox: number | undefined, { filter, sort }: EmailQuery): Plan {
  const values: unknown[] = [mailbox ?? account]
  const accountWide = mailbox === undefined
  const scope = accountWide ? 'm.mailbox_id in (select id from mailbox where account_id = $1)' : 'm.mailbox_id = $1'
  const rest = mailbox === undefined ? filter : withoutMailbox(filter, formatId('m', mailbox))
  const compiled = compileFilter(rest, values, mailbox === undefined ? undefined : '$1')
  const { orderBy, direction } = sortOrder(sort, values)
  return {
    scope,
    accountWide,
    condition: compiled.condition,
    compiled,
    values,
    direction,
    orderBy,
    needsEmail: compiled.needsEmail || /\be\./.test(orderBy),
  }
}

/** Takes the condition away that the scope already fulfils. */
function withoutMailbox(filter: EmailFilter, mailboxId: string): EmailFilter {
  if ('inMailbox' in filter && filter.inMailbox === mailboxId) return { all: true }
  if (!('and' in filter)) return filter
  return { and: filter.and.map((one) => withoutMailbox(one, mailboxId)) }
}

/** The result's size when the mailbox's own counters know it. */
function plainTotal({ filter, collapseThreads }: EmailQuery, { mailbox }: Head): number | undefined {
  const isPlain =
    'inMailbox' in filter || ('and' in filter && filter.and.length === 1 && 'inMailbox' in (filter.and[0] ?? {}))
  if (!isPlain || !mailbox) return undefined
  return collapseThreads ? mailbox.totalThreads : mailbox.totalEmails
}

/** RFC 8621 §4.4.2. Ties are broken by arrival and id, so that the order is stable. */
function sortOrder(sort: readonly EmailSort[], values: unknown[]): { orderBy: string; direction: Plan['direction'] } {
  const [first] = sort
  if (!first || first.property === 'receivedAt') {
    const direction = first?.ascending ? 'asc' : 'desc'
    return { orderBy: `m.received_at ${direction}, m.email_id ${direction}`, direction }
  }
  const terms = sort.map((one) => `${sortExpression(one, values)} ${one.ascending ? 'asc' : 'desc'}`)
  return { orderBy: [...terms, 'm.received_at desc', 'm.email_id desc'].join(', '), direction: undefined }
}

function sortExpression({ property, keyword }: EmailSort, values: unknown[]): string {
  const inThread = (negated: string) =>
    `exists (select from membership x where x.thread_id = m.thread_id and ${negated} ($${values.push(keyword ?? '')} = any(x.keywords)))`
  switch (property) {
    case 'receivedAt':
      return 'm.received_at'
    case 'sentAt':
      return 'coalesce(e.sent_at, m.received_at)'
    case 'size':
      return 'm.size_bytes'
    case 'from':
      return 'e.search_from collate "C"'
    case 'to':
      return 'e.search_to collate "C"'
    case 'subject':
      // Near enough to the base subject (RFC 5256 §2.1) for an order.
      return `regexp_replace(e.search_subject, '^((re|fwd?|aw|wg)\\s*(\\[[0-9]+\\])?\\s*:\\s*)+', '') collate "C"`
    case 'hasKeyword':
      return `($${values.push(keyword ?? '')} = any(m.keywords))`
    case 'allInThreadHaveKeyword':
      return `(not ${inThread('not')})`
    case 'someInThreadHaveKeyword':
      return inThread('')
  }
}

/** RFC 8620 §5.5: the window, by anchor or by position. */
function windowOf(ids: readonly string[], query: EmailQuery, state: number): EmailQueryResult {
  let start = query.position < 0 ? Math.max(0, ids.length + query.position) : query.position
  if (query.anchor !== undefined) {
    const anchor = ids.indexOf(query.anchor)
    if (anchor < 0) throw new AnchorNotFound(`${query.anchor} is not in the result`)
    start = Math.max(0, anchor + (query.anchorOffset ?? 0))
  }
  return {
    ids: ids.slice(start, start + query.limit),
    position: start,
    total: query.calculateTotal ? ids.length : undefined,
    state,
  }
}

function distinct<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Row[] {
  const seen = new Set<string>()
  return rows.filter((row) => {
    const key = keyOf(row)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
