import { z } from 'zod'
import { getArguments, ownAccount, queryFields } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'

/**
 * EmailSubmission/get. RFC 8621 §7.1. A submission is final when it is created (undoStatus "final"): the queue has it, and
 * its fate comes by DSN. The RFC lets a server forget final submissions, and we keep none.
 */
export const emailSubmissionGet: Method<z.output<typeof getArguments>, object> = {
  capability: SUBMISSION,
  parse: argumentsOf(getArguments),
  async run({ accountId, ids }, context) {
    ownAccount(accountId, context)
    return { accountId, state: '0', list: [], notFound: ids ?? [] }
  },
}

const emailSubmissionQueryArguments = z.strictObject({
  ...queryFields,
  filter: z.unknown().optional(),
  sort: z.array(z.unknown()).nullish(),
})

/** EmailSubmission/query. RFC 8621 §7.3. */
export const emailSubmissionQuery: Method<z.output<typeof emailSubmissionQueryArguments>, object> = {
  capability: SUBMISSION,
  parse: argumentsOf(emailSubmissionQueryArguments),
  async run({ accountId, calculateTotal }, context) {
    ownAccount(accountId, context)
    return {
      accountId,
      queryState: '0',
      canCalculateChanges: false,
      position: 0,
      ids: [],
      ...(calculateTotal ? { total: 0 } : {}),
    }
  },
}
