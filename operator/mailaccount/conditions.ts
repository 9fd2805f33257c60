/** Conditions of a MailAccount. Pure. */

import { findCondition, removeCondition, setCondition } from '../kube/conditions.ts'
import type { EventStatement } from '../kube/events.ts'
import type { Condition } from '../kube/types.ts'

export interface Finding {
  kind: 'ready' | 'waiting' | 'stalled'
  reason: string
  message: string
  /** When to look again without an event. */
  retryMs?: number
}

/** Ready always; Stalled and Reconciling only while true (kstatus), in a fixed order. */
export function accountConditions(
  previous: readonly Condition[] | undefined,
  { kind, reason, message }: Finding,
  observedGeneration: number,
  now: Date,
): Condition[] {
  const status = kind === 'ready' ? 'True' : 'False'
  let list = setCondition(previous, { type: 'Ready', status, reason, message, observedGeneration }, now)
  for (const [type, present] of [
    ['Stalled', kind === 'stalled'],
    ['Reconciling', kind === 'waiting'],
  ] as const) {
    list = present
      ? setCondition(list, { type, status: 'True', reason, message, observedGeneration }, now)
      : removeCondition(list, type)
  }
  return list.toSorted((a, b) => (a.type === 'Ready' ? -1 : b.type === 'Ready' ? 1 : a.type < b.type ? -1 : 1))
}

/** The Event that a transition is worth, if it is one. */
export function accountEvent(
  before: readonly Condition[] | undefined,
  after: readonly Condition[],
): EventStatement | undefined {
  const was = findCondition(before, 'Ready')
  const is = findCondition(after, 'Ready')
  const stalled = findCondition(after, 'Stalled')
  if (is?.status === 'True' && was?.status !== 'True') {
    return { type: 'Normal', reason: 'AccountReady', action: 'Reconcile', note: is.message }
  }
  if (stalled && findCondition(before, 'Stalled')?.reason !== stalled.reason) {
    return { type: 'Warning', reason: stalled.reason, action: 'Reconcile', note: stalled.message }
  }
  return undefined
}
