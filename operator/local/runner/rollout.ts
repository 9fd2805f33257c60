/**
 * How many Pods each ReplicaSet of a Deployment should have next. Pure; after pkg/controller/deployment (rolling.go,
 * recreate.go, util/deployment_util.go).
 */
import type { Deployment } from './objects.ts'

/** One ReplicaSet, in numbers. */
export interface SetCount {
  name: string
  /** spec.replicas. */
  wanted: number
  /** Pods that exist and are not on their way out. */
  existing: number
  available: number
}

/** @returns name → replicas, only of sets that are to change */
export function nextScale(deployment: Deployment, current: SetCount, old: readonly SetCount[]): Map<string, number> {
  const changes = new Map<string, number>()
  const replicas = deployment.spec.replicas ?? 1
  const oldPods = old.reduce((sum, set) => sum + Math.max(set.wanted, set.existing), 0)
  if (deployment.spec.strategy?.type === 'Recreate') {
    for (const set of old) if (set.wanted > 0) changes.set(set.name, 0)
    if (oldPods === 0 && current.wanted !== replicas) changes.set(current.name, replicas)
    return changes
  }
  const { surge, unavailable } = roomOf(deployment, replicas)
  const total = current.wanted + old.reduce((sum, set) => sum + set.wanted, 0)
  if (current.wanted > replicas) changes.set(current.name, replicas)
  else if (current.wanted < replicas) {
    const up = Math.min(replicas - current.wanted, Math.max(0, replicas + surge - total))
    if (up > 0) changes.set(current.name, current.wanted + up)
  }
  const newUnavailable = Math.max(0, current.wanted - current.available)
  let mayGo = total - (replicas - unavailable) - newUnavailable
  // As many are told to go as may go: those that have not gone yet are still counted as available (reconcileOldReplicaSets).
  if (mayGo <= 0) return changes
  for (const set of old) {
    // Those that are not available serve nobody: they go first (cleanupUnhealthyReplicas).
    const broken = Math.max(0, set.wanted - set.available)
    const down = Math.min(broken, mayGo)
    if (down > 0) changes.set(set.name, set.wanted - down)
    mayGo -= down
  }
  const available = current.available + old.reduce((sum, set) => sum + set.available, 0)
  let mayStop = Math.max(0, available - (replicas - unavailable))
  for (const set of old) {
    const left = changes.get(set.name) ?? set.wanted
    const down = Math.min(left, mayStop)
    if (down > 0) changes.set(set.name, left - down)
    mayStop -= down
  }
  return changes
}

/** maxSurge rounds up and maxUnavailable down; both zero would never move (ResolveFenceposts). */
function roomOf(deployment: Deployment, replicas: number): { surge: number; unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {}
  const surge = share(maxSurge, replicas, Math.ceil)
  const unavailable = share(maxUnavailable, replicas, Math.floor)
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable }
}

function share(value: number | string, of: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value
  const percent = /^(\d+)%$/.exec(value)?.[1]
  return percent === undefined ? Number(value) || 0 : round((Number(percent) * of) / 100)
}
