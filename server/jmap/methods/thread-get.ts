import type { z } from 'zod'
import { atMost, checkProperties, getArguments, ownAccount, pick } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'

/** Thread/get. RFC 8621 §3.1. */
export const threadGet: Method<z.output<typeof getArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(getArguments),
  async run({ accountId, ids, properties }, context, { mailstore, config }) {
    const account = ownAccount(accountId, context)
    checkProperties(properties, ['id', 'emailIds'])
    if (!ids) throw new MethodError('requestTooLarge', 'name the threads') // "all" may be refused (RFC 8620 §5.1)
    atMost(ids.length, config.limits.jmapObjectsInGet, 'ids')
    const state = stateOf(await mailstore.state(account))
    const threads = await mailstore.threads(account, [...new Set(ids)])
    const found = new Set(threads.map((thread) => thread.id))
    return {
      accountId,
      state,
      list: threads.map((thread) => pick(thread, properties)),
      notFound: [...new Set(ids)].filter((id) => !found.has(id)),
    }
  },
}
