import { z } from 'zod'
import { id, ownAccount } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'

const emailCopyArguments = z.looseObject({ fromAccountId: id, accountId: id })

/** Email/copy (RFC 8621 §4.7) is between accounts; everybody has one, so there is nowhere to copy from. */
export const emailCopy: Method<z.output<typeof emailCopyArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(emailCopyArguments),
  async run({ fromAccountId, accountId }, context) {
    ownAccount(accountId, context)
    if (fromAccountId === accountId) throw new MethodError('invalidArguments', 'fromAccountId: must be another account')
    throw new MethodError('fromAccountNotFound')
  },
}
