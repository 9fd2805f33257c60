/** Foo/queryChanges (RFC 8620 §5.6) where it is not worth keeping track: the client asks the query again. */
import { z } from 'zod'
import { id, ownAccount } from '../arguments.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'

const queryChangesArguments = z.looseObject({ accountId: id, sinceQueryState: z.string().max(255) })

/** Always cannotCalculateChanges, which the query announces by canCalculateChanges: false. */
export function noQueryChanges(capability: string): Method<z.output<typeof queryChangesArguments>, object> {
  return {
    capability,
    parse: argumentsOf(queryChangesArguments),
    async run(args, context) {
      ownAccount(args.accountId, context)
      throw new MethodError('cannotCalculateChanges')
    },
  }
}
