/** What the engine has to do when a MailAccount goes. */

import { z } from 'zod'
import type { MailAccount } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { EventStatement } from '../kube/events.ts'
import { lasting, retainedBody } from './account-body.ts'
import type { AccountAnswer, AdminApi } from './admin-api.ts'

export const ending = z.object({
  task: z.enum(['remove', 'disable']),
  address: z.string(),
  displayName: z.string().optional(),
  quotaBytes: z.number().optional(),
})
export type Ending = z.output<typeof ending>

/**
 * Mail goes only where that is asked for. Whoever removes a whole application removes its accounts first, from a server
 * that is not being deleted yet, so the server's own policy counts where the account has none.
 */
export function endingOf({ spec }: MailAccount, server: MailServer): Ending {
  const policy = spec.deletionPolicy ?? server.spec.deletionPolicy
  return { task: policy === 'Delete' ? 'remove' : 'disable', ...lasting(spec) }
}

/** An engine keeps no account of a domain that it does not serve, but removes one. */
export function isPossible({ task, address }: Ending, { spec }: MailServer): boolean {
  return task === 'remove' || spec.domains.some(({ name }) => name === address.split('@')[1])
}

export async function end({ task, ...account }: Ending, api: AdminApi): Promise<AccountAnswer> {
  if (task === 'remove') return api.remove(account.address)
  // Asked first: to put an account that is not there would make one.
  const found = await api.get(account.address)
  return found.kind === 'ok' ? api.put(retainedBody(account)) : found
}

/** @param which account, as the subject of an Event's object knows it: "the account" */
export function endedEvent(
  { task }: Ending,
  server: string,
  which: string,
): Pick<EventStatement, 'type' | 'reason' | 'note'> {
  const [reason, note] =
    task === 'remove'
      ? ['AccountRemoved', `MailServer ${server} has removed ${which} and its mail`]
      : ['AccountRetained', `MailServer ${server} keeps the mail of ${which}, and nobody can log in any more`]
  return { type: 'Normal', reason, note }
}
