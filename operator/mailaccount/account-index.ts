/** Which accounts a MailServer has, and which of them claim the same address: kept by watch, asked without a search. */

import { FINALIZER } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import { keyOf } from '../kube/resources.ts'
import { type Change, keyText, type ObjectKey } from '../kube/types.ts'

export interface AccountIndex {
  file(change: Change<MailAccount>): void
  /** The accounts of a server. */
  of(server: ObjectKey): MailAccount[]
  /** Whether engines of it were told of an account, so that there may be mail. */
  hasTold(server: ObjectKey): boolean
  /** Other accounts of the same server that have one of these addresses, as their own or as an alias. */
  rivals(account: MailAccount, addresses?: readonly string[]): MailAccount[]
}

export function createAccountIndex(): AccountIndex {
  const byServer = new Map<string, Map<string, MailAccount>>()
  /** By server and address. */
  const byAddress = new Map<string, Map<string, MailAccount>>()

  function put(index: Map<string, Map<string, MailAccount>>, id: string, account: MailAccount): void {
    const entries = index.get(id) ?? new Map<string, MailAccount>()
    entries.set(account.metadata.name, account)
    index.set(id, entries)
  }

  function take(index: Map<string, Map<string, MailAccount>>, id: string, account: MailAccount): void {
    const entries = index.get(id)
    entries?.delete(account.metadata.name)
    if (entries?.size === 0) index.delete(id)
  }

  function each(account: MailAccount, move: typeof put): void {
    const server = keyText(serverOf(account))
    move(byServer, server, account)
    for (const address of addressesOf(account)) move(byAddress, `${server} ${address}`, account)
  }

  return {
    file({ type, object, previous }) {
      if (previous) each(previous, take)
      each(object, type === 'set' ? put : take)
    },
    of: (server) => [...(byServer.get(keyText(server))?.values() ?? [])],
    hasTold: (server) => byServer.get(keyText(server))?.values().some(isTold) ?? false,
    rivals(account, addresses = addressesOf(account)) {
      const server = keyText(serverOf(account))
      const found = addresses.flatMap((address) => [...(byAddress.get(`${server} ${address}`)?.values() ?? [])])
      return [...new Set(found)].filter(({ metadata }) => metadata.name !== account.metadata.name)
    },
  }
}

/** The finalizer is there from before the first request to an engine until after the last. */
export const isTold = ({ metadata }: MailAccount): boolean => metadata.finalizers?.includes(FINALIZER) ?? false

export function serverOf(account: MailAccount): ObjectKey {
  return { namespace: account.metadata.namespace ?? '', name: account.spec.serverRef.name }
}

function addressesOf({ spec }: MailAccount): string[] {
  return [spec.address, ...(spec.aliases ?? [])]
}

/** The accounts that have to be looked at when this one changes: itself, and who wanted or wants an address of it. */
export function concernedBy({ object, previous }: Change<MailAccount>, index: AccountIndex): ObjectKey[] {
  const addresses = new Set([object, previous ?? object].flatMap(addressesOf))
  return [object, ...index.rivals(object, [...addresses])].map(keyOf)
}

/** Of accounts with the same primary address the one that was made first has it; of two in the same second, by name. */
export function isBefore(one: MailAccount, other: MailAccount): boolean {
  const age = ({ metadata }: MailAccount) => `${metadata.creationTimestamp} ${metadata.name}`
  return age(one) < age(other)
}
