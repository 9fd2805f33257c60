/** Conditions (meta/v1): pure functions over a status.conditions list. */

import type { Condition } from './types.ts'

/** A condition as its author states it; the time belongs to the list. */
export type ConditionStatement = Omit<Condition, 'lastTransitionTime'>

/**
 * The list with `next` in it. lastTransitionTime moves only when `status` flips (api-conventions.md, "Typical status
 * properties"), so an unchanged statement leaves an equal list and causes no write.
 */
export function setCondition(list: readonly Condition[] | undefined, next: ConditionStatement, now: Date): Condition[] {
  const conditions = list ?? []
  const known = conditions.find((condition) => condition.type === next.type)
  const flipped = known?.status !== next.status
  const stated: Condition = {
    ...next,
    lastTransitionTime: known && !flipped ? known.lastTransitionTime : rfc3339(now),
  }
  if (!known) return [...conditions, stated]
  return conditions.map((condition) => (condition === known ? stated : condition))
}

/** The list without a type: for conditions that are present only while true, as Stalled and Reconciling (kstatus). */
export function removeCondition(list: readonly Condition[] | undefined, type: string): Condition[] {
  return (list ?? []).filter((condition) => condition.type !== type)
}

export function findCondition(list: readonly Condition[] | undefined, type: string): Condition | undefined {
  return list?.find((condition) => condition.type === type)
}

/** True when the condition is there, has the status, and was stated about this generation (if one is given). */
export function isCondition(
  list: readonly Condition[] | undefined,
  type: string,
  status: Condition['status'],
  generation?: number,
): boolean {
  const condition = findCondition(list, type)
  if (condition?.status !== status) return false
  return generation === undefined || condition.observedGeneration === generation
}

/** metav1.Time: seconds only. */
export function rfc3339(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, 'Z')
}
