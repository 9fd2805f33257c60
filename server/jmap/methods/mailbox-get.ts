import type { z } from 'zod'
import { atMost, checkProperties, getArguments, ownAccount, pick, resolveId } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { stateOf } from '../wire/ids.ts'
import { MAILBOX_PROPERTIES, mailboxObject } from './mailbox-object.ts'

/** Mailbox/get. RFC 8621 §2.1. */
export const mailboxGet: Method<z.output<typeof getArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(getArguments),
  async run({ accountId, ids, properties }, context, { mailstore, config }) {
    const account = ownAccount(accountId, context)
    checkProperties(properties, MAILBOX_PROPERTIES)
    if (ids) atMost(ids.length, config.limits.jmapObjectsInGet, 'ids')
    // The state first: what changes in between is told again, never missed.
    const state = stateOf(await mailstore.state(account))
    const mailboxes = await mailstore.mailboxes(account)
    const wanted = ids && new Map(ids.map((id) => [resolveId(id, context), id]))
    const found = mailboxes.filter((mailbox) => !wanted || wanted.has(mailbox.id))
    for (const mailbox of found) wanted?.delete(mailbox.id)
    return {
      accountId,
      state,
      list: found.map((mailbox) => pick(mailboxObject(mailbox), properties)),
      notFound: wanted ? [...wanted.values()] : [],
    }
  },
}
