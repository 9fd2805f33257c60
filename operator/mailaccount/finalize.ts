/**
 * Deletion of a MailAccount: the engine keeps the account without a login, or removes it where that is asked for; where
 * there is no engine any more, nobody waits for it, and for one that is away not for ever: it is told later.
 */

import { FINALIZER, MailAccountResource, SKIP_CLEANUP } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import { pollMs } from '../kube/backoff.ts'
import { findCondition } from '../kube/conditions.ts'
import type { EventStatement } from '../kube/events.ts'
import { serverOf } from './account-index.ts'
import { type Ending, end, endedEvent, endingOf, isPossible } from './ending.ts'
import { leaveBehind } from './left-behind.ts'
import type { AccountDeps } from './reconcile.ts'
import { tell } from './status.ts'

/** How long an engine that does not answer may hold up a deletion. */
const PATIENCE_MS = 10 * 60_000
const RETRY = { baseMs: 10_000, maxMs: 60_000 }

type Outcome =
  | { done: true; event?: Pick<EventStatement, 'type' | 'reason' | 'note'> }
  /** `later`: there is nothing to wait for now. */
  | { done: false; ending: Ending; why: string; later?: true }

/** @returns when to look again; undefined once the finalizer is gone */
export async function finalizeAccount(account: MailAccount, deps: AccountDeps): Promise<number | undefined> {
  const { finalizers = [], deletionTimestamp = '' } = account.metadata
  if (!finalizers.includes(FINALIZER)) return undefined
  const record = (event: Pick<EventStatement, 'type' | 'reason' | 'note'>) =>
    deps.events.record(account, { ...event, action: 'Delete' })
  const server = serverOf(account)
  const { name } = server
  const outcome = await settle(account, deps)
  if (!outcome.done) {
    const { ending, why, later = false } = outcome
    const { task } = ending
    const waitedMs = +deps.now() - Date.parse(deletionTimestamp)
    if (!later && waitedMs < PATIENCE_MS) {
      const note = `MailServer ${name} cannot ${task} the account yet: ${why}`
      const told = findCondition(account.status?.conditions, 'Ready')?.reason === 'Deleting'
      const reason = task === 'remove' ? 'AccountNotRemoved' : 'AccountNotDisabled'
      if (!told) record({ type: 'Warning', reason, note })
      const retryMs = pollMs(waitedMs, RETRY)
      return tell(account, { kind: 'waiting', reason: 'Deleting', message: note, retryMs }, {}, deps)
    }
    await leaveBehind(server, ending, deps)
    const note = `MailServer ${name} will ${task} the account as soon as it can: ${why}`
    record({ type: 'Warning', reason: 'AccountLeftBehind', note })
  } else if (outcome.event) record(outcome.event)
  await removeFinalizer(account, deps)
  return undefined
}

async function settle(account: MailAccount, deps: AccountDeps): Promise<Outcome> {
  const { annotations } = account.metadata
  const { address } = account.spec
  const serverKey = serverOf(account)
  const server = deps.server(serverKey)
  if (!server || server.metadata.deletionTimestamp) {
    const note = `MailServer ${serverKey.name} is gone; what it had of the account stays in its database`
    return { done: true, event: { type: 'Normal', reason: 'Orphaned', note } }
  }
  if (annotations?.[SKIP_CLEANUP] === 'true') return { done: true }
  const heir = deps
    .rivals(account, [address])
    .find(({ metadata, spec }) => spec.address === address && !metadata.deletionTimestamp)
  if (heir) {
    const note = `MailAccount ${heir.metadata.name} has the same address: the account and its mail stay`
    return { done: true, event: { type: 'Normal', reason: 'AccountKept', note } }
  }
  const ending = endingOf(account, server)
  const api = (await deps.engine(serverKey))?.api
  // Never told of by this MailAccount: there may be mail of an earlier one, which is asked to go, but not waited for.
  if (account.status?.appliedHash === undefined && (ending.task === 'disable' || !api)) return { done: true }
  if (!isPossible(ending, server)) {
    return { done: false, ending, why: `it has no domain ${address.split('@')[1]} any more`, later: true }
  }
  if (!api) return { done: false, ending, why: 'no Pod of it is ready' }
  const answer = await end(ending, api)
  if (answer.kind !== 'ok' && answer.kind !== 'absent') return { done: false, ending, why: answer.message }
  return { done: true, event: endedEvent(ending, serverKey.name, 'the account') }
}

async function removeFinalizer(account: MailAccount, { client }: AccountDeps): Promise<void> {
  const { name, namespace = '', resourceVersion, finalizers = [] } = account.metadata
  const metadata = { resourceVersion, finalizers: finalizers.filter((finalizer) => finalizer !== FINALIZER) }
  await client.mergePatch(MailAccountResource, { namespace, name }, { metadata })
}
