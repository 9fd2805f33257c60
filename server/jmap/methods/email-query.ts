import { z } from 'zod'
import { AnchorNotFound, FilterTooComplex } from '../../mailstore/types.ts'
import { ownAccount, queryFields } from '../arguments.ts'
import { MAIL, MAX_QUERY_IDS } from '../capabilities.ts'
import { emailFilter, emailSort } from '../email/filter.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'

const emailQueryArguments = z.strictObject({
  ...queryFields,
  filter: z.unknown().optional(),
  sort: z.array(z.unknown()).nullish(),
  collapseThreads: z.boolean().default(false),
})

/** Email/query. RFC 8621 §4.4. */
export const emailQuery: Method<z.output<typeof emailQueryArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(emailQueryArguments),
  async run(args, context, { mailstore }) {
    const account = ownAccount(args.accountId, context)
    const limit = Math.min(args.limit ?? MAX_QUERY_IDS, MAX_QUERY_IDS)
    const query = {
      filter: emailFilter(args.filter),
      sort: emailSort(args.sort),
      collapseThreads: args.collapseThreads,
      position: args.position,
      ...(args.anchor == null ? {} : { anchor: args.anchor, anchorOffset: args.anchorOffset }),
      limit,
      calculateTotal: args.calculateTotal,
    }
    const result = await mailstore.query(account, query).catch((error: unknown) => {
      if (error instanceof AnchorNotFound) throw new MethodError('anchorNotFound')
      throw error instanceof FilterTooComplex ? new MethodError('unsupportedFilter', error.message) : error
    })
    return {
      accountId: args.accountId,
      queryState: stateOf(result.state),
      canCalculateChanges: false,
      position: result.position,
      ids: result.ids,
      ...(result.total === undefined ? {} : { total: result.total }),
      // Only when the limit is ours (RFC 8620 §5.5).
      ...(args.limit != null && args.limit <= limit ? {} : { limit }),
    }
  },
}
