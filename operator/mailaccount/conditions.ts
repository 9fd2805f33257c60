/** Conditions of a MailAccount. Pure. */

import { findCondition, removeCondition, setCondition } from '../kube/conditions.ts'
import type { EventStatement } from '../kube/events.ts'
import { FAILED, failingSince } from '../kube/failing.ts'
import type { Condition } from '../kube/types.ts'

export interface Finding {
  /** paused: what was true stays true, and nobody is at it; failing: nothing new is known. */
  kind: 'ready' | 'waiting' | 'stalled' | 'paused' | 'failing'
  reason: string
  message: string
  /** When to look again without an event … */
  retryMs?: number
  /** … or how soon for the first time, and then ever later. */
  pollMs?: number
  /** Waiting longer than this is Stalled, although it still goes on. Without it a wait may last. */
  deadlineMs?: number
}

const OVERDUE = 'DeadlineExceeded'

/** Ready always; Stalled and Reconciling only while true (kstatus), in a fixed order. */
export function accountConditions(
  previous: readonly Condition[] | undefined,
  finding: Finding,
  observedGeneration: number,
  now: Date,
): Condition[] {
  const { kind, reason, message } = finding
  const ready = findCondition(previous, 'Ready')
  let list = [...(previous ?? [])]
  const set = (type: string, status: Condition['status'], why = reason, text = message) => {
    list = setCondition(list, { type, status, reason: why, message: text, observedGeneration }, now)
  }
  /** Only one of them is true, and there. */
  const only = (type: 'Stalled' | 'Reconciling' | undefined, why = reason, text = message) => {
    for (const other of ['Stalled', 'Reconciling']) if (other !== type) list = removeCondition(list, other)
    if (type) set(type, 'True', why, text)
  }

  if (kind === 'failing') {
    const failing = failingSince(message, { previous, generation: observedGeneration, now })
    // Nothing new is known: what was true of the account still is.
    if (!ready || ready.status === 'Unknown' || ready.reason === FAILED) set('Ready', 'False', FAILED, failing.message)
    if (!failing.known) list = removeCondition(list, 'Reconciling')
    only(failing.overdue ? 'Stalled' : 'Reconciling', FAILED, failing.message)
  } else {
    set('Ready', kind === 'ready' || (kind === 'paused' && ready?.status === 'True') ? 'True' : 'False')
    if (kind === 'waiting') {
      const since = waitingSince(previous, reason, observedGeneration)
      if (since === undefined) list = removeCondition(list, 'Reconciling')
      const overdue = finding.deadlineMs !== undefined && +now - (since ?? +now) >= finding.deadlineMs
      if (overdue) only('Stalled', OVERDUE, `${reason}: ${message}`)
      else only('Reconciling')
    } else only(kind === 'stalled' ? 'Stalled' : undefined)
  }
  return list.toSorted((a, b) => (a.type === 'Ready' ? -1 : b.type === 'Ready' ? 1 : a.type < b.type ? -1 : 1))
}

/**
 * Since when an account has waited, in ms since the epoch, whatever for: one wait after the other is a wait for those who
 * look. 0 once that was too long; undefined when it did not wait, or begins anew: with a changed spec, and where what
 * was waited for too long has come and now it is something else.
 */
function waitingSince(
  previous: readonly Condition[] | undefined,
  reason: string,
  generation: number,
): number | undefined {
  const stalled = findCondition(previous, 'Stalled')
  const isSame = findCondition(previous, 'Ready')?.reason === reason
  if (stalled?.reason === OVERDUE && stalled.observedGeneration === generation && isSame) return 0
  const waiting = findCondition(previous, 'Reconciling')
  if (!waiting || waiting.reason === FAILED || waiting.observedGeneration !== generation) return undefined
  return Date.parse(waiting.lastTransitionTime)
}

/** Milliseconds until a wait is too long; undefined where there is none, and where it has been. */
export function untilOverdue(conditions: readonly Condition[], { deadlineMs }: Finding, now: Date): number | undefined {
  const waiting = findCondition(conditions, 'Reconciling')
  if (!waiting || deadlineMs === undefined) return undefined
  return Math.max(0, Date.parse(waiting.lastTransitionTime) + deadlineMs - +now)
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
