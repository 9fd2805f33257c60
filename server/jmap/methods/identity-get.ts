import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { checkProperties, getArguments, ownAccount, pick } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type CallContext, type Method } from '../method.ts'

const PROPERTIES = ['id', 'name', 'email', 'replyTo', 'bcc', 'textSignature', 'htmlSignature', 'mayDelete']
export const IDENTITY_ID = 'i1'

/** The one identity of everybody: their address, and their name as the operator gives it. */
export function identityOf({ account }: CallContext) {
  return {
    id: IDENTITY_ID,
    name: account.displayName ?? '',
    email: account.address,
    replyTo: null,
    bcc: null,
    textSignature: '',
    htmlSignature: '',
    mayDelete: false,
  }
}

/** Changes with what the account says, never by JMAP. */
export function identityState(context: CallContext): string {
  return createHash('sha256')
    .update(JSON.stringify(identityOf(context)))
    .digest('base64url')
    .slice(0, 16)
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
      state: identityState(context),
      list: wanted ? [pick(identityOf(context), properties)] : [],
      notFound: ids?.filter((id) => id !== IDENTITY_ID) ?? [],
    }
  },
}
