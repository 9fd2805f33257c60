/**
 * What a status says of a reconcile that throws: Reconciling, and Stalled once it has failed for ten minutes. It is still
 * tried, by the work queue. Pure; conditions as in kstatus.
 */

import { findCondition } from './conditions.ts'
import type { Condition } from './types.ts'

/** Reason of these conditions. */
export const FAILED = 'ReconcileFailed'
/** What keeps failing for so long is Stalled: somebody should look. */
export const FAILING_MS = 10 * 60_000

/** True while the status says that the last tries failed. */
export function saysFailing(conditions: readonly Condition[] | undefined): boolean {
  return (
    conditions?.some(({ type, reason }) => reason === FAILED && (type === 'Reconciling' || type === 'Stalled')) ?? false
  )
}

export interface Failing {
  /** The status says so already, of this generation. */
  known: boolean
  /** It has failed for so long that it is Stalled. */
  overdue: boolean
  /** The words said already, where only a number in them is another. */
  message: string
}

export function failingSince(
  failure: string,
  { previous, generation, now }: { previous: readonly Condition[] | undefined; generation: number; now: Date },
): Failing {
  const ofThisSpec = (type: string) => {
    const found = findCondition(previous, type)
    return found?.reason === FAILED && found.observedGeneration === generation ? found : undefined
  }
  const stalled = ofThisSpec('Stalled')
  const known = stalled ?? ofThisSpec('Reconciling')
  // Ports, times and request numbers differ with every try, and each would be a write.
  const withoutNumbers = (text: string) => text.replaceAll(/\d+/g, '0')
  const said = known && withoutNumbers(known.message) === withoutNumbers(failure)
  const since = stalled ? 0 : known ? Date.parse(known.lastTransitionTime) : +now
  return { known: known !== undefined, overdue: +now - since >= FAILING_MS, message: said ? known.message : failure }
}
