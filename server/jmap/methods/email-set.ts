import type { z } from 'zod'
import type { Mailstore } from '../../mailstore/types.ts'
import { ownAccount, setArguments } from '../arguments.ts'
import { readJmapBlob } from '../blobs.ts'
import { MAIL } from '../capabilities.ts'
import { composeEmail } from '../email/compose.ts'
import { applySetPatch, parseEmailPatch } from '../email/patch.ts'
import { type EmailPlan, planEmail } from '../email/properties.ts'
import { argumentsOf, type CallContext, type JmapDeps, type Method } from '../method.ts'
import { runSet, type SetResponse, withoutUnchanged } from '../set.ts'
import { invalidProperties, MethodError, notFound, ObjectRefused } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'
import { fetchEmails } from './email-get.ts'
import { emailMetadata, resolveMailboxIds, storeEmail } from './store-email.ts'

/** Email/set. RFC 8621 §4.6. */
export const emailSet: Method<z.output<typeof setArguments>, SetResponse> = {
  capability: MAIL,
  parse: argumentsOf(setArguments),
  async run(args, context, deps) {
    const { mailstore, config } = deps
    const account = ownAccount(args.accountId, context)
    return runSet(args, context, {
      maxObjects: config.limits.jmapObjectsInSet,
      state: async () => stateOf(await mailstore.state(account)),
      async create(object) {
        const metadata = emailMetadata(object, context, deps.now())
        const raw = await composeEmail(object, {
          readBlob: (blobId) => readJmapBlob(account, blobId, deps),
          hostname: config.hostname,
          now: deps.now(),
          maxBytes: config.limits.messageBytes,
        })
        return storeEmail(account, raw, metadata, deps)
      },
      update: (patches) => updateEmails(account, patches, context, deps),
      async destroy(ids) {
        const destroyed = new Set((await mailstore.destroyEmails(account, ids)).destroyed)
        return new Map(ids.map((id) => [id, destroyed.has(id) ? null : notFound()]))
      },
    })
  },
}

const NO_BODY_VALUES = {
  fetchTextBodyValues: false,
  fetchHTMLBodyValues: false,
  fetchAllBodyValues: false,
  maxBodyValueBytes: 0,
}

type Change = Parameters<Mailstore['updateEmails']>[1][number]

/** All in one transaction. */
async function updateEmails(
  account: string,
  patches: Map<string, Record<string, unknown>>,
  context: CallContext,
  deps: JmapDeps,
): Promise<Map<string, null | ObjectRefused>> {
  const { mailstore } = deps
  const outcomes = new Map<string, null | ObjectRefused>()
  const emails = await mailstore.emails(account, [...patches.keys()], [])
  const byId = new Map(emails.map((email) => [email.id, email]))
  const mailboxes = new Set((await mailstore.mailboxes(account)).map(({ id }) => id))
  const changes: Change[] = []
  for (const [id, patch] of patches) {
    try {
      const email = byId.get(id)
      const changed = email ? await withoutUnchangedProperties(account, id, patch, deps) : patch
      const change = changeOf(email, changed, { context, mailboxes })
      if (change) changes.push(change)
      outcomes.set(id, null)
    } catch (error) {
      if (!(error instanceof ObjectRefused)) throw error
      outcomes.set(id, error)
    }
  }
  if (changes.length === 0) return outcomes
  for (const id of (await mailstore.updateEmails(account, changes)).notFound) outcomes.set(id, notFound())
  return outcomes
}

/** Looks at the Email as Email/get shows it only when a patch has more than what changes. */
async function withoutUnchangedProperties(
  account: string,
  id: string,
  patch: Record<string, unknown>,
  deps: JmapDeps,
): Promise<Record<string, unknown>> {
  const properties = Object.keys(patch).filter((path) => !/^\/?(?:keywords|mailboxIds)(?:\/|$)/.test(path))
  if (properties.length === 0) return patch
  let plan: EmailPlan
  try {
    plan = planEmail({ ...NO_BODY_VALUES, properties })
  } catch (error) {
    if (error instanceof MethodError) return patch // a property that there is not: refused with the patch
    throw error
  }
  return withoutUnchanged(patch, (await fetchEmails(account, [id], plan, deps)).get(id) ?? {})
}

/** @returns undefined for a patch that says nothing. @throws ObjectRefused */
function changeOf(
  email: { id: string; keywords: string[]; mailboxIds: string[] } | undefined,
  given: Record<string, unknown>,
  { context, mailboxes }: { context: CallContext; mailboxes: ReadonlySet<string> },
): Change | undefined {
  const patch = parseEmailPatch(given)
  if (!email) throw notFound()
  const mailboxIds = patch.mailboxIds && resolveMailboxIds(applySetPatch(email.mailboxIds, patch.mailboxIds), context)
  if (mailboxIds?.length === 0) throw invalidProperties(['mailboxIds'], 'an Email is in at least one mailbox')
  if (mailboxIds?.some((id) => !mailboxes.has(id))) throw invalidProperties(['mailboxIds'], 'there is no such mailbox')
  const keywords = patch.keywords && keepDeleted(email.keywords, applySetPatch(email.keywords, patch.keywords))
  if (!mailboxIds && !keywords) return undefined
  return { id: email.id, ...(keywords ? { keywords } : {}), ...(mailboxIds ? { mailboxIds } : {}) }
}

/** JMAP does not see \Deleted, so that a new set of keywords says nothing about it. */
function keepDeleted(before: readonly string[], after: string[]): string[] {
  return before.includes('$deleted') && !after.includes('$deleted') ? [...after, '$deleted'] : after
}
