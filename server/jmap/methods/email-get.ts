import { z } from 'zod'
import type { EmailColumn } from '../../mailstore/types.ts'
import { atMost, getArguments, ownAccount, resolveId, unsignedInt } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { type EmailPlan, planEmail, presentEmail } from '../email/properties.ts'
import { argumentsOf, type JmapDeps, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'

export const bodyFetchFields = {
  bodyProperties: z.array(z.string().max(512)).max(100).nullish(),
  fetchTextBodyValues: z.boolean().default(false),
  fetchHTMLBodyValues: z.boolean().default(false),
  fetchAllBodyValues: z.boolean().default(false),
  maxBodyValueBytes: unsignedInt.default(0),
}
const emailGetArguments = getArguments.extend(bodyFetchFields)

/** Messages read at a time, and the bytes of them that one call may read: bounds what a request holds in memory. */
const BLOBS_AT_ONCE = 8
const MAX_BLOB_BYTES = 268_435_456

/** Email/get. RFC 8621 §4.2. */
export const emailGet: Method<z.output<typeof emailGetArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(emailGetArguments),
  async run({ accountId, ids, ...options }, context, deps) {
    const account = ownAccount(accountId, context)
    if (!ids) throw new MethodError('requestTooLarge', 'name the emails') // "all" may be refused (RFC 8620 §5.1)
    atMost(ids.length, deps.config.limits.jmapObjectsInGet, 'ids')
    const plan = planEmail(options)
    const wanted = new Map([...new Set(ids)].map((id) => [id, resolveId(id, context)]))
    const state = stateOf(await deps.mailstore.state(account))
    const found = await fetchEmails(
      account,
      [...wanted.values()].filter((id) => id !== undefined),
      plan,
      deps,
    )
    const list: Record<string, unknown>[] = []
    const missing: string[] = []
    for (const [asked, id] of wanted) {
      const email = id === undefined ? undefined : found.get(id)
      if (email) list.push(email)
      else missing.push(asked)
    }
    return { accountId, state, list, notFound: missing }
  },
}

/** Email objects by id. @throws MethodError requestTooLarge when the messages to read are too much together */
export async function fetchEmails(
  account: string,
  ids: string[],
  plan: EmailPlan,
  { mailstore }: Pick<JmapDeps, 'mailstore'>,
): Promise<Map<string, Record<string, unknown>>> {
  const columns: EmailColumn[] = plan.needsRaw
    ? [...new Set<EmailColumn>([...plan.columns, 'blobId', 'sizeBytes'])]
    : plan.columns
  const emails = await mailstore.emails(account, ids, columns)
  const shown = new Map<string, Record<string, unknown>>()
  if (!plan.needsRaw) {
    for (const email of emails) shown.set(email.id, presentEmail(email, plan))
    return shown
  }
  const total = emails.reduce((sum, email) => sum + (email.sizeBytes ?? 0), 0)
  if (total > MAX_BLOB_BYTES)
    throw new MethodError('requestTooLarge', 'the messages are too large together: ask for fewer')
  for (let at = 0; at < emails.length; at += BLOBS_AT_ONCE) {
    await Promise.all(
      emails.slice(at, at + BLOBS_AT_ONCE).map(async (email) => {
        const raw = await mailstore.readBlob(account, email.blobId)
        shown.set(email.id, presentEmail(email, plan, raw))
      }),
    )
  }
  return shown
}
