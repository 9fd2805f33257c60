import type { z } from 'zod'
import { changesArguments, ownAccount } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type CallContext, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'

/**
 * Identity/changes (RFC 8621 §6.2) and EmailSubmission/changes (§7.2): no log is kept of these types. From the present
 * state nothing has changed, and from another it cannot be told what has.
 */
export const noChanges = (
  stateOf: (context: CallContext) => string,
): Method<z.output<typeof changesArguments>, object> => ({
  capability: SUBMISSION,
  parse: argumentsOf(changesArguments),
  async run({ accountId, sinceState }, context) {
    ownAccount(accountId, context)
    const state = stateOf(context)
    if (sinceState !== state) throw new MethodError('cannotCalculateChanges')
    const nothing = { created: [], updated: [], destroyed: [] }
    return { accountId, oldState: state, newState: state, hasMoreChanges: false, ...nothing }
  },
})
