import type { z } from 'zod'
import { MailboxNotFound } from '../../mailstore/types.ts'
import { ownAccount, setArguments } from '../arguments.ts'
import { readJmapBlob } from '../blobs.ts'
import { MAIL } from '../capabilities.ts'
import { composeEmail } from '../email/compose.ts'
import { applySetPatch, parseEmailPatch } from '../email/patch.ts'
import { argumentsOf, type Method } from '../method.ts'
import { runSet, type SetResponse } from '../set.ts'
import { invalidProperties, notFound } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'
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
      async update(id, given) {
        const patch = parseEmailPatch(given)
        const [email] = await mailstore.emails(account, [id], [])
        if (!email) throw notFound()
        const mailboxIds =
          patch.mailboxIds && resolveMailboxIds(applySetPatch(email.mailboxIds, patch.mailboxIds), context)
        if (mailboxIds?.length === 0) throw invalidProperties(['mailboxIds'], 'an Email is in at least one mailbox')
        const keywords = patch.keywords && keepDeleted(email.keywords, applySetPatch(email.keywords, patch.keywords))
        if (!mailboxIds && !keywords) return null
        try {
          const change = { id, ...(keywords ? { keywords } : {}), ...(mailboxIds ? { mailboxIds } : {}) }
          const { notFound: missing } = await mailstore.updateEmails(account, [change])
          if (missing.length > 0) throw notFound()
        } catch (error) {
          if (error instanceof MailboxNotFound) throw invalidProperties(['mailboxIds'], 'there is no such mailbox')
          throw error
        }
        return null
      },
      async destroy(id) {
        const { destroyed } = await mailstore.destroyEmails(account, [id])
        if (destroyed.length === 0) throw notFound()
      },
    })
  },
}

/** JMAP does not see \Deleted, so that a new set of keywords says nothing about it. */
function keepDeleted(before: readonly string[], after: string[]): string[] {
  return before.includes('$deleted') && !after.includes('$deleted') ? [...after, '$deleted'] : after
}
