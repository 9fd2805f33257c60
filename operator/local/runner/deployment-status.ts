/** A Deployment's status from the counts of its ReplicaSets. Pure; after pkg/controller/deployment/sync.go and progress.go. */
import { type Deployment, type DeploymentStatus, kubeTime } from './objects.ts'
import type { SetCount } from './rollout.ts'

type DeploymentCondition = NonNullable<DeploymentStatus['conditions']>[number]
type Statement = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>

export function deploymentStatus(
  deployment: Deployment,
  current: SetCount,
  old: readonly SetCount[],
  now: Date,
): DeploymentStatus {
  const replicas = deployment.spec.replicas ?? 1
  const sum = (count: (set: SetCount) => number): number => [current, ...old].reduce((all, set) => all + count(set), 0)
  const existing = sum((set) => set.existing)
  const available = sum((set) => set.available)
  const complete = current.existing === replicas && current.available === replicas && existing === replicas
  const enough = available >= replicas - unavailableAllowed(deployment, replicas)
  const before = deployment.status?.conditions ?? []
  const availableCondition: Statement = enough
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      }
  const counts = {
    replicas: existing,
    updatedReplicas: current.existing,
    readyReplicas: available,
    availableReplicas: available,
    unavailableReplicas: Math.max(0, Math.max(replicas, existing) - available),
  }
  const moved = (Object.keys(counts) as (keyof typeof counts)[]).some(
    (name) => (deployment.status?.[name] ?? 0) !== counts[name],
  )
  const progress = progressCondition(deployment, current.name, { complete, moved }, now)
  return {
    ...counts,
    ...(deployment.metadata.generation === undefined ? {} : { observedGeneration: deployment.metadata.generation }),
    conditions: [
      stated(before, availableCondition, now, false),
      stated(before, progress, now, moved && progress.reason === 'ReplicaSetUpdated'),
    ],
  }
}

function progressCondition(
  deployment: Deployment,
  setName: string,
  { complete, moved }: { complete: boolean; moved: boolean },
  now: Date,
): Statement {
  const type = 'Progressing'
  if (complete) {
    const message = `ReplicaSet "${setName}" has successfully progressed.`
    return { type, status: 'True', reason: 'NewReplicaSetAvailable', message }
  }
  if (deployment.spec.paused) {
    return { type, status: 'True', reason: 'DeploymentPaused', message: 'Deployment is paused' }
  }
  const before = deployment.status?.conditions?.find((condition) => condition.type === type)
  const since = Date.parse(before?.lastUpdateTime ?? before?.lastTransitionTime ?? '') || now.getTime()
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000
  // A set that was complete and lost a Pod is not a rollout: no deadline runs.
  const underWay = before?.reason === 'ReplicaSetUpdated' || before?.reason === 'ProgressDeadlineExceeded'
  if (underWay && !moved && now.getTime() - since > deadlineMs) {
    const message = `ReplicaSet "${setName}" has timed out progressing.`
    return { type, status: 'False', reason: 'ProgressDeadlineExceeded', message }
  }
  return { type, status: 'True', reason: 'ReplicaSetUpdated', message: `ReplicaSet "${setName}" is progressing.` }
}

/** Keeps the times of a condition that did not change. `touched`: there was progress, so the deadline starts anew. */
function stated(
  before: readonly DeploymentCondition[],
  next: Statement,
  now: Date,
  touched: boolean,
): DeploymentCondition {
  const known = before.find(({ type }) => type === next.type)
  const same = known?.status === next.status && known.reason === next.reason && !touched
  return {
    ...next,
    lastTransitionTime: known?.status === next.status ? known.lastTransitionTime : kubeTime(now),
    lastUpdateTime: (same ? known?.lastUpdateTime : undefined) ?? kubeTime(now),
  }
}

function unavailableAllowed(deployment: Deployment, replicas: number): number {
  if (deployment.spec.strategy?.type === 'Recreate') return 0
  const allowed = deployment.spec.strategy?.rollingUpdate?.maxUnavailable ?? '25%'
  if (typeof allowed === 'number') return allowed
  return Math.floor((Number.parseInt(allowed, 10) * replicas) / 100) || 0
}
