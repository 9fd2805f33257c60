import { z } from 'zod'
import { id, ownAccount } from '../arguments.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'

const copyArguments = z.looseObject({ fromAccountId: id, accountId: id })

/**
 * Email/copy (RFC 8621 §4.7) and Blob/copy (RFC 8620 §6.3) are between accounts; everybody has one, so there is nowhere
 * to copy from.
 */
export function copyMethod(capability: string): Method<z.output<typeof copyArguments>, object> {
  return {
    capability,
    parse: argumentsOf(copyArguments),
    async run({ fromAccountId, accountId }, context) {
      ownAccount(accountId, context)
      if (fromAccountId === accountId)
        throw new MethodError('invalidArguments', 'fromAccountId: must be another account')
      throw new MethodError('fromAccountNotFound')
    },
  }
}
