/**
 * Filters as SQL. What the index does not know (body, text, most header fields) becomes a question to the message's bytes:
 * the SQL then selects a superset, and says of each row which of the other conditions hold, so that the whole filter can be
 * decided in content.ts.
 */
import { parseId } from './ids.ts'
import { searchable } from './prepared.ts'
import { rangesCondition } from './ranges.ts'
import { type EmailFilter, FilterTooComplex } from './types.ts'

/** Conditions that only the bytes can answer. */
export type ContentCondition = Extract<EmailFilter, { body: string } | { text: string } | { header: string }>

/** The filter again, for deciding one row: leaves are columns of the row or questions to its bytes. */
export type RowFilter =
  | { and: RowFilter[] }
  | { or: RowFilter[] }
  | { not: RowFilter }
  | { column: string }
  | { content: ContentCondition }

export interface CompiledFilter {
  /** True for every row that the filter may match, about m (membership) and e (email). */
  condition: string
  needsEmail: boolean
  /** Defined when `condition` alone does not decide. */
  decide: { filter: RowFilter; columns: string } | undefined
}

const NESTING = 50
const DAY_MS = 86_400_000
/** Rows that an earlier version wrote have no day, and none can be read from their time but that in UTC. */
const SENT_DAY = `coalesce(e.sent_day, floor(e.sent_at / ${DAY_MS}.0))`
const dayOf = (date: Date) => Math.floor(date.getTime() / DAY_MS)

/**
 * @param values parameters so far; grows
 * @param mailboxParam the parameter ($n) of the one mailbox whose memberships are looked at; undefined: several
 */
export function compileFilter(
  filter: EmailFilter,
  values: unknown[],
  mailboxParam: string | undefined,
): CompiledFilter {
  const compiler = new Compiler(values, mailboxParam)
  const condition = compiler.condition(filter, true, 0)
  if (!compiler.hasContent) return { condition, needsEmail: condition.includes('e.'), decide: undefined }
  const rowFilter = compiler.rowFilter(filter)
  return {
    condition,
    needsEmail: true,
    decide: { filter: rowFilter, columns: compiler.columns.map((sql, index) => `, ${sql} as c${index}`).join('') },
  }
}

class Compiler {
  hasContent = false
  readonly columns: string[] = []
  readonly #values: unknown[]
  readonly #mailboxParam: string | undefined

  constructor(values: unknown[], mailboxParam: string | undefined) {
    this.#values = values
    this.#mailboxParam = mailboxParam
  }

  /** @param wide what content answers is taken as true here, so that no match is lost; under NOT as false */
  condition(filter: EmailFilter, wide: boolean, depth: number): string {
    if (depth > NESTING) throw new FilterTooComplex(`a filter nests deeper than ${NESTING}`)
    if ('and' in filter) return this.#joined(filter.and, 'and', wide, depth)
    if ('or' in filter) return this.#joined(filter.or, 'or', wide, depth)
    if ('not' in filter) return `not (${this.condition(filter.not, !wide, depth + 1)})`
    if (isContent(filter)) {
      this.hasContent = true
      return wide ? this.#hint(filter) : 'false'
    }
    return this.#leaf(filter)
  }

  rowFilter(filter: EmailFilter): RowFilter {
    if ('and' in filter) return { and: filter.and.map((one) => this.rowFilter(one)) }
    if ('or' in filter) return { or: filter.or.map((one) => this.rowFilter(one)) }
    if ('not' in filter) return { not: this.rowFilter(filter.not) }
    if (isContent(filter)) return { content: filter }
    return { column: `c${this.columns.push(this.#leaf(filter)) - 1}` }
  }

  #joined(filters: EmailFilter[], operator: 'and' | 'or', wide: boolean, depth: number): string {
    if (filters.length === 0) return operator === 'and' ? 'true' : 'false'
    return `(${filters.map((one) => this.condition(one, wide, depth + 1)).join(` ${operator} `)})`
  }

  #param(value: unknown): string {
    return `$${this.#values.push(value)}`
  }

  /** A substring of a column that searchable() made. */
  #contains(column: string, text: string): string {
    return text === '' ? 'true' : `${column} like ${this.#param(likePattern(searchable(text)))}`
  }

  /** Message-ID and In-Reply-To stand in the envelope as written: few messages are left to read. */
  #hint(filter: ContentCondition): string {
    if (!('header' in filter) || !/^(message-id|in-reply-to)$/i.test(filter.header)) return 'true'
    const asJson = JSON.stringify(filter.contains.toLowerCase()).slice(1, -1)
    return /^[\x20-\x7e]*$/.test(asJson) ? `lower(e.envelope) like ${this.#param(likePattern(asJson))}` : 'true'
  }

  #thread(keyword: string, negated: '' | 'not'): string {
    return `exists (select from membership x where x.thread_id = m.thread_id and ${negated} (${this.#param(keyword)} = any(x.keywords)))`
  }

  #leaf(
    filter: Exclude<
      EmailFilter,
      ContentCondition | { and: EmailFilter[] } | { or: EmailFilter[] } | { not: EmailFilter }
    >,
  ): string {
    const elsewhere = `exists (select from membership x where x.thread_id = m.thread_id and x.email_id = m.email_id`
    if ('all' in filter) return 'true'
    if ('inMailbox' in filter)
      return `${elsewhere} and x.mailbox_id = ${this.#param(parseId('m', filter.inMailbox) ?? 0)})`
    if ('inMailboxOtherThan' in filter) {
      const ids = filter.inMailboxOtherThan.map((id) => parseId('m', id) ?? 0)
      return `${elsewhere} and x.mailbox_id <> all(${this.#param(ids)}::bigint[]))`
    }
    if ('uids' in filter) {
      if (this.#mailboxParam === undefined) return 'false'
      return rangesCondition('m.uid', this.#mailboxParam, filter.uids, this.#values)
    }
    if ('hasKeyword' in filter) return `${this.#param(filter.hasKeyword)} = any(m.keywords)`
    if ('allInThreadHaveKeyword' in filter) return `not ${this.#thread(filter.allInThreadHaveKeyword, 'not')}`
    if ('someInThreadHaveKeyword' in filter) return this.#thread(filter.someInThreadHaveKeyword, '')
    if ('noneInThreadHaveKeyword' in filter) return `not ${this.#thread(filter.noneInThreadHaveKeyword, '')}`
    if ('receivedBefore' in filter) return `m.received_at < ${this.#param(filter.receivedBefore.getTime())}`
    if ('receivedSince' in filter) return `m.received_at >= ${this.#param(filter.receivedSince.getTime())}`
    if ('sentBefore' in filter) return `coalesce(${SENT_DAY} < ${this.#param(dayOf(filter.sentBefore))}, false)`
    if ('sentSince' in filter) return `coalesce(${SENT_DAY} >= ${this.#param(dayOf(filter.sentSince))}, false)`
    if ('largerThan' in filter) return `m.size_bytes > ${this.#param(filter.largerThan)}::bigint`
    if ('smallerThan' in filter) return `m.size_bytes < ${this.#param(filter.smallerThan)}::bigint`
    if ('hasAttachment' in filter) return `e.has_attachment = ${this.#param(filter.hasAttachment)}`
    if ('from' in filter) return this.#contains('e.search_from', filter.from)
    if ('to' in filter) return this.#contains('e.search_to', filter.to)
    if ('cc' in filter) return this.#contains('e.search_cc', filter.cc)
    if ('bcc' in filter) return this.#contains('e.search_bcc', filter.bcc)
    if ('subject' in filter) return this.#contains('e.search_subject', filter.subject)
    if ('modSeqAtLeast' in filter) return `m.mod_seq >= ${this.#param(filter.modSeqAtLeast)}`
    if ('emailId' in filter) return `m.email_id = ${this.#param(parseId('e', filter.emailId) ?? 0)}`
    return `m.thread_id = ${this.#param(parseId('t', filter.threadId) ?? 0)}`
  }
}

function isContent(filter: EmailFilter): filter is ContentCondition {
  return 'body' in filter || 'text' in filter || 'header' in filter
}

/** The text anywhere, its wildcards taken literally. */
export function likePattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`
}

/** The one mailbox that every match must be in, when the filter says so at its top. */
export function requiredMailbox(filter: EmailFilter): string | undefined {
  if ('inMailbox' in filter) return filter.inMailbox
  if (!('and' in filter)) return undefined
  return filter.and.map(requiredMailbox).find((id) => id !== undefined)
}
