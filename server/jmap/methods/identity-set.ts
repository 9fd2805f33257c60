import type { z } from 'zod'
import { ownAccount, setArguments } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { eachOf, oneByOne, runSet, type SetResponse } from '../set.ts'
import { notFound, ObjectRefused } from '../wire/errors.ts'
import { IDENTITY_ID, identityState } from './identity-get.ts'

/** Identity/set (RFC 8621 §6.3): identities follow the account, which the operator owns, so every change is forbidden. */
export const identitySet: Method<z.output<typeof setArguments>, SetResponse> = {
  capability: SUBMISSION,
  parse: argumentsOf(setArguments),
  async run(args, context, { config }) {
    ownAccount(args.accountId, context)
    const forbidden = () => new ObjectRefused({ type: 'forbidden', description: 'identities follow the account' })
    const refuse = async (id: string): Promise<never> => {
      throw id === IDENTITY_ID ? forbidden() : notFound()
    }
    return runSet(args, context, {
      maxObjects: config.limits.jmapObjectsInSet,
      state: async () => identityState(context),
      create: () => Promise.reject(forbidden()),
      update: oneByOne(refuse),
      destroy: eachOf(refuse),
    })
  },
}
