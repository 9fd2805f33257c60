import { z } from 'zod'
import {
  LimitReached,
  type Mailbox,
  MailboxExists,
  MailboxHasChildren,
  MailboxNameInvalid,
  MailboxNotEmpty,
  MailboxNotFound,
  type MailboxRole,
} from '../../mailstore/types.ts'
import { ownAccount, resolveId, setFields } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { eachOf, oneByOne, runSet, type SetResponse, withoutUnchanged } from '../set.ts'
import { invalidProperties, notFound, ObjectRefused } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'
import { mailboxObject, RIGHTS } from './mailbox-object.ts'

const mailboxSetArguments = z.strictObject({ ...setFields, onDestroyRemoveEmails: z.boolean().default(false) })

const ROLES = [
  'inbox',
  'archive',
  'drafts',
  'flagged',
  'junk',
  'sent',
  'trash',
  'important',
] as const satisfies MailboxRole[]
const settable = z.strictObject({
  name: z.string().min(1).max(255),
  parentId: z.string().max(255).nullable(),
  role: z.enum(ROLES).nullable(),
  sortOrder: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1),
  isSubscribed: z.boolean(),
})
const newMailbox = settable.partial().required({ name: true })

/** Mailbox/set. RFC 8621 §2.5. */
export const mailboxSet: Method<z.output<typeof mailboxSetArguments>, SetResponse> = {
  capability: MAIL,
  parse: argumentsOf(mailboxSetArguments),
  async run(args, context, { mailstore, config }) {
    const account = ownAccount(args.accountId, context)
    const existing = async (id: string) => {
      const mailbox = await mailstore.mailbox(account, id)
      if (!mailbox) throw notFound()
      return mailbox
    }
    const pathOf = async (name: string, parentId: string | null | undefined) => {
      if (name.includes('/')) throw invalidProperties(['name'], 'must not contain /') // it separates levels in IMAP
      if (parentId == null) return name
      const parentKey = resolveId(parentId, context)
      const parent = parentKey === undefined ? undefined : await mailstore.mailbox(account, parentKey)
      if (!parent) throw invalidProperties(['parentId'], 'there is no such mailbox')
      return `${parent.path}/${name}`
    }
    return runSet({ ...args, create: args.create && parentsFirst(args.create) }, context, {
      maxObjects: config.limits.jmapObjectsInSet,
      state: async () => stateOf(await mailstore.state(account)),
      async create(object) {
        const { name, parentId, role, sortOrder, isSubscribed } = checked(newMailbox, object)
        const path = await pathOf(name, parentId)
        const made = await refusals(
          async () => {
            if (await mailstore.mailboxByPath(account, path)) throw new MailboxExists(path)
            return mailstore.createMailbox(account, path, {
              role: role ?? null,
              subscribed: isSubscribed ?? false,
              ...(sortOrder === undefined ? {} : { sortOrder }),
            })
          },
          () => mailstore.mailboxByPath(account, path),
        )
        return created(made)
      },
      update: oneByOne(async (id, patch) => {
        const mailbox = await existing(id)
        const { name, parentId, role, sortOrder, isSubscribed } = checked(
          settable.partial(),
          withoutUnchanged(withoutSlashes(patch), serverSet(mailbox)),
        )
        const moves = name !== undefined || parentId !== undefined
        const target = await pathOf(name ?? mailbox.name, parentId === undefined ? mailbox.parentId : parentId)
        if (moves && mailbox.role === 'inbox' && target !== mailbox.path) {
          throw new ObjectRefused({ type: 'forbidden', description: 'the inbox keeps its name and place' })
        }
        if (moves && target.startsWith(`${mailbox.path}/`))
          throw invalidProperties(['parentId'], 'is below the mailbox itself')
        await refusals(
          () =>
            mailstore.updateMailbox(account, id, {
              ...(moves && target !== mailbox.path ? { path: target } : {}),
              ...(role === undefined ? {} : { role }),
              ...(sortOrder === undefined ? {} : { sortOrder }),
              ...(isSubscribed === undefined ? {} : { subscribed: isSubscribed }),
            }),
          async () => (moves && target !== mailbox.path ? mailstore.mailboxByPath(account, target) : undefined),
        )
        return null
      }),
      destroy: eachOf(async (id) => {
        const mailbox = await existing(id)
        if (mailbox.role === 'inbox')
          throw new ObjectRefused({ type: 'forbidden', description: 'the inbox cannot be destroyed' })
        await refusals(() => mailstore.deleteMailbox(account, id, { removeMessages: args.onDestroyRemoveEmails }))
      }),
    })
  },
}

/** A mailbox may be created below another of the same call, whatever their order (RFC 8620 §5.3). */
function parentsFirst(create: Record<string, Record<string, unknown>>): Record<string, Record<string, unknown>> {
  const ordered: Record<string, Record<string, unknown>> = {}
  const visit = (key: string, path: readonly string[]) => {
    const object = create[key]
    if (!object || Object.hasOwn(ordered, key) || path.includes(key)) return
    const parent =
      typeof object.parentId === 'string' && object.parentId.startsWith('#') ? object.parentId.slice(1) : ''
    if (Object.hasOwn(create, parent)) visit(parent, [...path, key])
    ordered[key] = object
  }
  for (const key of Object.keys(create)) visit(key, [])
  return ordered
}

/** What no client may set (RFC 8621 §2). */
function serverSet(mailbox: Mailbox) {
  const { id, totalEmails, unreadEmails, totalThreads, unreadThreads, myRights } = mailboxObject(mailbox)
  return { id, totalEmails, unreadEmails, totalThreads, unreadThreads, myRights }
}

/** What the server set (RFC 8620 §5.3): all that the client did not give. */
function created(mailbox: Mailbox) {
  return {
    id: mailbox.id,
    sortOrder: mailbox.sortOrder,
    totalEmails: 0,
    unreadEmails: 0,
    totalThreads: 0,
    unreadThreads: 0,
    isSubscribed: mailbox.subscribed,
    myRights: RIGHTS,
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, object: unknown): z.output<Schema> {
  const result = schema.safeParse(object)
  if (result.success) return result.data
  const properties = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : [String(issue.path[0] ?? '')],
  )
  throw invalidProperties([...new Set(properties)], result.error.issues[0]?.message)
}

/** Patch paths may begin with a slash; a Mailbox has nothing nested that changes. */
const withoutSlashes = (patch: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(patch).map(([path, value]) => [path.replace(/^\//, ''), value]))

/**
 * The store's refusals in the RFC's words (RFC 8621 §2.5).
 * @param named the mailbox that has the wanted place and name, if any
 */
async function refusals<T>(work: () => Promise<T>, named?: () => Promise<Mailbox | undefined>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MailboxExists) {
      const other = await named?.()
      // No RFC names the error for a name that is taken; this is the registered one that says which mailbox has it.
      if (other) throw new ObjectRefused({ type: 'alreadyExists', existingId: other.id })
      throw invalidProperties(['role'], 'another mailbox has this role')
    }
    if (error instanceof MailboxNameInvalid) throw invalidProperties(['name'], error.message)
    if (error instanceof MailboxNotFound) throw notFound()
    if (error instanceof MailboxHasChildren) throw new ObjectRefused({ type: 'mailboxHasChild' })
    if (error instanceof MailboxNotEmpty) throw new ObjectRefused({ type: 'mailboxHasEmail' })
    if (error instanceof LimitReached) throw new ObjectRefused({ type: 'overQuota', description: error.message })
    throw error
  }
}
