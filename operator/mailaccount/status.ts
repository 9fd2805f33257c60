/** Writes a MailAccount's status when it says something new, and an Event for a transition. */

import { isDeepStrictEqual } from 'node:util'
import { API_VERSION, MailAccountResource, STATUS_MANAGER } from '../api/group.ts'
import type { MailAccount, MailAccountStatus } from '../api/mail-account.ts'
import { pollMs } from '../kube/backoff.ts'
import { findCondition } from '../kube/conditions.ts'
import { failureText } from '../kube/errors.ts'
import { FAILED } from '../kube/failing.ts'
import type { Condition } from '../kube/types.ts'
import { accountConditions, accountEvent, type Finding, untilOverdue } from './conditions.ts'
import type { AccountDeps } from './reconcile.ts'

type TellDeps = Pick<AccountDeps, 'client' | 'events' | 'written' | 'now'>

/** What has been waited for for half an hour is looked at so often. */
const MAX_POLL_MS = 5 * 60_000

/**
 * @param facts what is new; what is not in them stays as it was
 * @returns when to look again; undefined when an event will tell
 * @throws KubeError
 */
export async function tell(
  account: MailAccount,
  finding: Finding,
  facts: MailAccountStatus,
  { client, events, written, now }: TellDeps,
): Promise<number | undefined> {
  const { name, namespace = '' } = account.metadata
  const before = account.status
  const generation = generationOf(account, finding)
  const conditions = accountConditions(before?.conditions, finding, generation, now())
  // Also where the engine refused a change: what it was told before is still there, to be removed one day.
  const status: MailAccountStatus = { ...before, ...facts, observedGeneration: generation, conditions }
  if (!isDeepStrictEqual(status, before)) {
    const metadata = { name, namespace }
    const object = { apiVersion: API_VERSION, kind: MailAccountResource.kind, metadata, status }
    const options = { fieldManager: STATUS_MANAGER, subresource: 'status' } as const
    written.wrote(account, await client.apply<MailAccount>(MailAccountResource, object, options))
    const event = accountEvent(before?.conditions, conditions)
    if (event) events.record(account, event)
  }
  const looks = [finding.retryMs, polledMs(conditions, finding, now()), untilOverdue(conditions, finding, now())]
  const known = looks.filter((ms) => ms !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

function polledMs(conditions: readonly Condition[], finding: Finding, now: Date): number | undefined {
  if (finding.pollMs === undefined) return undefined
  const since = Date.parse(findCondition(conditions, 'Ready')?.lastTransitionTime ?? '')
  return pollMs(+now - since, { baseMs: finding.pollMs, maxMs: MAX_POLL_MS })
}

/** Tells why a try failed. It is thrown on in any case, so an API that does not take the status either is no news. */
export async function tellFailure(account: MailAccount, error: unknown, deps: TellDeps): Promise<void> {
  const finding: Finding = { kind: 'failing', reason: FAILED, message: failureText(error) }
  await tell(account, finding, {}, deps).catch(() => {})
}

/** Of the spec that the status is about: a paused one is not applied, so the status does not claim it. */
function generationOf({ metadata, status }: MailAccount, { kind }: Finding): number {
  const { generation = 0 } = metadata
  return kind === 'paused' ? Math.min(Math.max(0, status?.observedGeneration ?? 0), generation) : generation
}
