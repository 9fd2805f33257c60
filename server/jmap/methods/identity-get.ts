import type { z } from 'zod'
import { checkProperties, getArguments, ownAccount, pick } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type CallContext, type Method } from '../method.ts'

const PROPERTIES = ['id', 'name', 'email', 'replyTo', 'bcc', 'textSignature', 'htmlSignature', 'mayDelete']
/** Who somebody may send as follows from their account; it never changes by JMAP. */
const STATE = '0'
export const IDENTITY_ID = 'i1'

/** The one identity of everybody: their address. */
export function identityOf({ account }: CallContext) {
  return {
    id: IDENTITY_ID,
    name: '',
    email: account.address,
    replyTo: null,
    bcc: null,
    textSignature: '',
    htmlSignature: '',
    mayDelete: false,
  }
}

/** Identity/get. RFC 8621 §6.1. */
export const identityGet: Method<z.output<typeof getArguments>, object> = {
  capability: SUBMISSION,
  parse: argumentsOf(getArguments),
  async run({ accountId, ids, properties }, context) {
    ownAccount(accountId, context)
    checkProperties(properties, PROPERTIES)
    const wanted = !ids || ids.includes(IDENTITY_ID)
    return {
      accountId,
      state: STATE,
      list: wanted ? [pick(identityOf(context), properties)] : [],
      notFound: ids?.filter((id) => id !== IDENTITY_ID) ?? [],
    }
  },
}
