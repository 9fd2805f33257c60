import { z } from 'zod'
import type { Mailbox } from '../../mailstore/types.ts'
import { id, ownAccount, queryFields } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'

const condition = z.strictObject({
  parentId: id.nullish(),
  name: z.string().optional(),
  role: z.string().nullish(),
  hasAnyRole: z.boolean().optional(),
  isSubscribed: z.boolean().optional(),
})
const operator = z.strictObject({ operator: z.enum(['AND', 'OR', 'NOT']), conditions: z.array(z.unknown()).max(100) })
const comparator = z.looseObject({
  property: z.string(),
  isAscending: z.boolean().default(true),
  collation: z.string().optional(),
})

const mailboxQueryArguments = z.strictObject({
  ...queryFields,
  filter: z.unknown().optional(),
  sort: z.array(comparator).max(10).nullish(),
  sortAsTree: z.boolean().default(false),
  filterAsTree: z.boolean().default(false),
})
type MailboxQueryArguments = z.output<typeof mailboxQueryArguments>

/** Mailbox/query. RFC 8621 §2.3. */
export const mailboxQuery: Method<MailboxQueryArguments, object> = {
  capability: MAIL,
  parse: argumentsOf(mailboxQueryArguments),
  async run(args, context, { mailstore }) {
    const account = ownAccount(args.accountId, context)
    const queryState = stateOf(await mailstore.state(account))
    const all = await mailstore.mailboxes(account)
    const matches = matcher(args.filter, 0)
    const matching = new Set(all.filter(matches).map((mailbox) => mailbox.id))
    const sorted = sortMailboxes(all, args)
    const byId = new Map(all.map((mailbox) => [mailbox.id, mailbox]))
    const kept = (mailbox: Mailbox): boolean => {
      if (!matching.has(mailbox.id)) return false
      const parent = mailbox.parentId === null ? undefined : byId.get(mailbox.parentId)
      return !args.filterAsTree || !parent || kept(parent)
    }
    const ids = sorted.filter(kept).map((mailbox) => mailbox.id)
    const position = start(ids, args)
    return {
      accountId: args.accountId,
      queryState,
      canCalculateChanges: false,
      position,
      ids: ids.slice(position, args.limit == null ? undefined : position + args.limit),
      ...(args.calculateTotal ? { total: ids.length } : {}),
    }
  },
}

function start(ids: string[], { anchor, anchorOffset, position }: MailboxQueryArguments): number {
  if (anchor == null) return position < 0 ? Math.max(0, ids.length + position) : position
  const index = ids.indexOf(anchor)
  if (index < 0) throw new MethodError('anchorNotFound')
  return Math.max(0, index + anchorOffset)
}

type Matcher = (mailbox: Mailbox) => boolean

/** @throws MethodError unsupportedFilter */
function matcher(filter: unknown, depth: number): Matcher {
  if (filter == null) return () => true
  if (depth > 10) throw new MethodError('unsupportedFilter', 'the filter is nested too deep')
  if (typeof filter === 'object' && 'operator' in filter) {
    const { operator: name, conditions } = checked(operator, filter)
    const inner = conditions.map((one) => matcher(one, depth + 1))
    if (name === 'AND') return (mailbox) => inner.every((matches) => matches(mailbox))
    const any: Matcher = (mailbox) => inner.some((matches) => matches(mailbox))
    return name === 'OR' ? any : (mailbox) => !any(mailbox)
  }
  const { parentId, name, role, hasAnyRole, isSubscribed } = checked(condition, filter)
  return (mailbox) =>
    (parentId === undefined || mailbox.parentId === parentId) &&
    (name === undefined || mailbox.name.toLowerCase().includes(name.toLowerCase())) &&
    (role === undefined || mailbox.role === role) &&
    (hasAnyRole === undefined || (mailbox.role !== null) === hasAnyRole) &&
    (isSubscribed === undefined || mailbox.subscribed === isSubscribed)
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (!result.success) throw new MethodError('unsupportedFilter', result.error.issues[0]?.message)
  return result.data
}

type Comparison = (a: Mailbox, b: Mailbox) => number

function sortMailboxes(mailboxes: Mailbox[], { sort, sortAsTree }: MailboxQueryArguments): Mailbox[] {
  const comparisons = (sort ?? []).map(({ property, isAscending }): Comparison => {
    const sign = isAscending ? 1 : -1
    if (property === 'sortOrder') return (a, b) => sign * (a.sortOrder - b.sortOrder)
    if (property === 'name') return (a, b) => sign * compare(a.name.toLowerCase(), b.name.toLowerCase())
    if (property === 'parentId') return (a, b) => sign * compare(a.parentId ?? '', b.parentId ?? '')
    throw new MethodError('unsupportedSort', `cannot sort by ${property.slice(0, 100)}`)
  })
  const order: Comparison = (a, b) => {
    for (const comparison of comparisons) {
      const result = comparison(a, b)
      if (result !== 0) return result
    }
    return 0
  }
  const sorted = mailboxes.toSorted(order)
  if (!sortAsTree) return sorted
  const children = Map.groupBy(sorted, (mailbox) => mailbox.parentId)
  const tree = (parentId: string | null): Mailbox[] =>
    (children.get(parentId) ?? []).flatMap((mailbox) => [mailbox, ...tree(mailbox.id)])
  return tree(null)
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
