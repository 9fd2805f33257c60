/** Deletion of a MailAccount: the engine forgets the account; where there is no engine any more, nobody waits for it. */

import { FINALIZER, MailAccountResource, SKIP_CLEANUP } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { AccountDeps } from './reconcile.ts'

/** How long an engine that does not answer may hold up a deletion. */
const PATIENCE_MS = 10 * 60_000
const RETRY_MS = 10_000

/** @returns when to look again; undefined once the finalizer is gone */
export async function finalizeAccount(account: MailAccount, deps: AccountDeps): Promise<number | undefined> {
  const { namespace = '', finalizers = [], annotations, deletionTimestamp = '' } = account.metadata
  if (!finalizers.includes(FINALIZER)) return undefined
  const serverKey = { namespace, name: account.spec.serverRef.name }
  const server = deps.server(serverKey)
  const tell = (type: 'Normal' | 'Warning', reason: string, note: string) =>
    deps.events.record(account, { type, reason, action: 'Delete', note })
  const neverThere = account.status?.appliedHash === undefined
  const skip = annotations?.[SKIP_CLEANUP] === 'true' || account.spec.deletionPolicy === 'Retain' || neverThere
  if (!server || server.metadata.deletionTimestamp) {
    tell('Normal', 'Orphaned', `MailServer ${serverKey.name} is gone; what it had of the account stays in its database`)
  } else if (!skip) {
    const engine = await deps.engine(serverKey)
    const answer = await engine?.api.remove(account.spec.address)
    const why = answer === undefined ? 'no Pod of it is ready' : 'message' in answer ? answer.message : ''
    if (answer?.kind === 'ok' || answer?.kind === 'absent') {
      tell('Normal', 'AccountRemoved', `MailServer ${serverKey.name} has removed the account and its mail`)
    } else if (+deps.now() - Date.parse(deletionTimestamp) < PATIENCE_MS) return RETRY_MS
    else tell('Warning', 'AccountLeftBehind', `MailServer ${serverKey.name} could not remove the account: ${why}`)
  }
  await removeFinalizer(account, deps)
  return undefined
}

async function removeFinalizer(account: MailAccount, { client }: AccountDeps): Promise<void> {
  const { name, namespace = '', resourceVersion, finalizers = [] } = account.metadata
  const metadata = { resourceVersion, finalizers: finalizers.filter((finalizer) => finalizer !== FINALIZER) }
  await client.mergePatch(MailAccountResource, { namespace, name }, { metadata })
}
