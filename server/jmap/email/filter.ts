/** Email/query's filter and sort (RFC 8621 §4.4.1, §4.4.2) in the store's language. Pure. */
import { z } from 'zod'
import type { EmailFilter, EmailSort } from '../../mailstore/types.ts'
import { id, unsignedInt, utcDate } from '../arguments.ts'
import { MethodError } from '../wire/errors.ts'
import { KEYWORD } from './patch.ts'

const MAX_DEPTH = 20
const MAX_CONDITIONS = 200

const keyword = z
  .string()
  .regex(KEYWORD, 'is no keyword')
  .transform((name) => name.toLowerCase())
/** No message has NUL in its text, and Postgres no NUL in its. */
const text = z
  .string()
  .max(10_000)
  .transform((words) => words.replaceAll('\0', ' '))

const condition = z.strictObject({
  inMailbox: id.optional(),
  inMailboxOtherThan: z.array(id).max(10_000).optional(),
  before: utcDate.optional(),
  after: utcDate.optional(),
  minSize: unsignedInt.optional(),
  maxSize: unsignedInt.optional(),
  allInThreadHaveKeyword: keyword.optional(),
  someInThreadHaveKeyword: keyword.optional(),
  noneInThreadHaveKeyword: keyword.optional(),
  hasKeyword: keyword.optional(),
  notKeyword: keyword.optional(),
  hasAttachment: z.boolean().optional(),
  text: text.optional(),
  from: text.optional(),
  to: text.optional(),
  cc: text.optional(),
  bcc: text.optional(),
  subject: text.optional(),
  body: text.optional(),
  header: z.array(text).min(1).max(2).optional(),
})
const operator = z.strictObject({
  operator: z.enum(['AND', 'OR', 'NOT']),
  conditions: z.array(z.unknown()).max(MAX_CONDITIONS),
})

const TEXT_FIELDS = ['text', 'from', 'to', 'cc', 'bcc', 'subject', 'body'] as const

/** @throws MethodError unsupportedFilter, invalidArguments */
export function emailFilter(filter: unknown): EmailFilter {
  return filter == null ? { all: true } : convert(filter, { depth: 0, budget: { left: MAX_CONDITIONS } })
}

function convert(filter: unknown, at: { depth: number; budget: { left: number } }): EmailFilter {
  if (at.depth > MAX_DEPTH || --at.budget.left < 0)
    throw new MethodError('unsupportedFilter', 'the filter is too large')
  if (typeof filter === 'object' && filter !== null && 'operator' in filter) {
    const { operator: name, conditions } = checked(operator, filter)
    const converted = conditions.map((inner) => convert(inner, { ...at, depth: at.depth + 1 }))
    if (name === 'AND') return { and: converted }
    return name === 'OR' ? { or: converted } : { not: { or: converted } } // NOT: none of them (RFC 8620 §5.5)
  }
  const parts = conditionParts(checked(condition, withoutNulls(filter)))
  return parts.length === 1 && parts[0] ? parts[0] : parts.length === 0 ? { all: true } : { and: parts }
}

/** null stands for a property that is not given, as some clients write it. */
function withoutNulls(filter: unknown): unknown {
  if (typeof filter !== 'object' || filter === null) return filter
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== null))
}

function conditionParts(given: z.output<typeof condition>): EmailFilter[] {
  const parts: EmailFilter[] = []
  if (given.inMailbox !== undefined) parts.push({ inMailbox: given.inMailbox })
  if (given.inMailboxOtherThan) parts.push({ inMailboxOtherThan: given.inMailboxOtherThan })
  if (given.before) parts.push({ receivedBefore: given.before })
  if (given.after) parts.push({ receivedSince: given.after })
  if (given.minSize) parts.push({ largerThan: given.minSize - 1 })
  if (given.maxSize !== undefined) parts.push({ smallerThan: given.maxSize })
  if (given.allInThreadHaveKeyword) parts.push({ allInThreadHaveKeyword: given.allInThreadHaveKeyword })
  if (given.someInThreadHaveKeyword) parts.push({ someInThreadHaveKeyword: given.someInThreadHaveKeyword })
  if (given.noneInThreadHaveKeyword) parts.push({ noneInThreadHaveKeyword: given.noneInThreadHaveKeyword })
  if (given.hasKeyword) parts.push({ hasKeyword: given.hasKeyword })
  if (given.notKeyword) parts.push({ not: { hasKeyword: given.notKeyword } })
  if (given.hasAttachment !== undefined) parts.push({ hasAttachment: given.hasAttachment })
  for (const field of TEXT_FIELDS) {
    for (const phrase of phrases(given[field] ?? '')) parts.push({ [field]: phrase } as EmailFilter)
  }
  if (given.header) {
    const [name = '', value = ''] = given.header
    parts.push({ header: name, contains: value })
  }
  return parts
}

/** Words, all of which have to match, and "phrases in quotes" (RFC 8621 §4.4.1). */
export function phrases(query: string): string[] {
  const found = [...query.matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)/g)]
  return found
    .map(([, double, single, word]) => (double ?? single)?.replace(/\\(.)/g, '$1') ?? word ?? '')
    .filter((phrase) => phrase !== '')
    .slice(0, 50)
}

/** Clients send more than the RFC's properties with it; what is not known changes nothing. */
const comparator = z.looseObject({
  property: z.string(),
  isAscending: z.boolean().default(true),
  collation: z.string().nullish(),
  keyword: keyword.nullish(),
})

const SORTABLE: ReadonlySet<string> = new Set<EmailSort['property']>([
  'receivedAt',
  'sentAt',
  'size',
  'from',
  'to',
  'subject',
  'hasKeyword',
  'allInThreadHaveKeyword',
  'someInThreadHaveKeyword',
])

export const emailSortOptions = [...SORTABLE]

/** Newest first when nothing is asked. @throws MethodError unsupportedSort, invalidArguments */
export function emailSort(sort: readonly unknown[] | null | undefined): EmailSort[] {
  if (!sort || sort.length === 0) return [{ property: 'receivedAt', ascending: false }]
  if (sort.length > 10) throw new MethodError('unsupportedSort', 'at most 10 comparators')
  return sort.map((given) => {
    const { property, isAscending, collation, keyword: name } = checked(comparator, given)
    if (!SORTABLE.has(property) || collation != null)
      throw new MethodError('unsupportedSort', `cannot sort by ${property.slice(0, 100)}`)
    if (property.endsWith('Keyword') !== (name != null)) {
      throw new MethodError('invalidArguments', 'sort: keyword belongs to the properties that end in Keyword')
    }
    return {
      property: property as EmailSort['property'],
      ascending: isAscending,
      ...(name == null ? {} : { keyword: name }),
    }
  })
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const unknown = result.error.issues.find((issue) => issue.code === 'unrecognized_keys')
  if (unknown) throw new MethodError('unsupportedFilter', unknown.message)
  throw new MethodError(
    'invalidArguments',
    result.error.issues.map(({ path, message }) => `${path.join('/')}: ${message}`).join('; '),
  )
}
