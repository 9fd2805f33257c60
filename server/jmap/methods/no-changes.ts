import type { z } from 'zod'
import { changesArguments, ownAccount } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'

/** Identity/changes (RFC 8621 §6.2) and EmailSubmission/changes (§7.2): their state never changes. */
export const noChanges: Method<z.output<typeof changesArguments>, object> = {
  capability: SUBMISSION,
  parse: argumentsOf(changesArguments),
  async run({ accountId, sinceState }, context) {
    ownAccount(accountId, context)
    if (sinceState !== '0') throw new MethodError('cannotCalculateChanges')
    return { accountId, oldState: '0', newState: '0', hasMoreChanges: false, created: [], updated: [], destroyed: [] }
  },
}
