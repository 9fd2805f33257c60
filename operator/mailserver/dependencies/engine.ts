/** EngineAvailable and NetworkReady. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import { mailServiceName } from '../desired/names.ts'
import { idFor } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { MINUTE_MS, ok, type Statement, waiting } from './statement.ts'

interface DeploymentStatus {
  observedGeneration?: number
  replicas?: number
  updatedReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  conditions?: Condition[]
}

export interface Rollout {
  desired: number
  /** Pods there are. */
  total: number
  updated: number
  ready: number
  available: number
  /** The Deployment's controller has seen the newest template. */
  seen: boolean
  done: boolean
}

export function rolloutOf(deployment: KubeObject): Rollout {
  const {
    observedGeneration = 0,
    replicas = 0,
    updatedReplicas = 0,
    readyReplicas = 0,
    availableReplicas = 0,
  } = (deployment.status ?? {}) as DeploymentStatus
  const desired = (deployment.spec as { replicas?: number } | undefined)?.replicas ?? 1
  const seen = observedGeneration >= (deployment.metadata.generation ?? 0)
  return {
    desired,
    total: replicas,
    updated: updatedReplicas,
    ready: readyReplicas,
    available: availableReplicas,
    seen,
    done: seen && updatedReplicas === desired && replicas === desired && availableReplicas === desired,
  }
}

/**
 * Available is one Pod that answers, once all have answered for the first time: a Pod that is replaced is no outage.
 * @param blocked dependencies without which the first Pods are not started
 */
export function engineStatement(
  observed: Observed,
  blocked: readonly Statement[],
  previous: readonly Condition[] | undefined,
): Statement {
  const { name } = observed.key
  const deployment = observed.children.get(idFor({ kind: 'Deployment' }, name))
  if (!deployment) {
    if (blocked.length === 0) return waiting('EngineAvailable', 'Creating', `Deployment ${name} is being made`)
    const types = blocked.map(({ type }) => type).join(', ')
    // Its deadline is theirs.
    const { deadlineMs: _, ...statement } = waiting('EngineAvailable', 'WaitingForDependencies', `Waiting for ${types}`)
    return statement
  }
  const rollout = rolloutOf(deployment)
  const told = `Deployment ${name}: ${rollout.available} of ${rollout.desired} replicas are available`
  if (rollout.desired === 0) return ok('EngineAvailable', 'ScaledToZero', `Deployment ${name} is scaled to zero`)
  const { conditions } = (deployment.status ?? {}) as DeploymentStatus
  const progressing = findCondition(conditions, 'Progressing')
  const failing = findCondition(conditions, 'ReplicaFailure')
  const relay =
    observed.secrets.relay?.found === false
      ? `; Secret ${observed.secrets.relay.name} (spec.outbound.relay.credentialsSecretRef) does not exist`
      : ''
  const why = `${relay}${failing?.status === 'True' ? `; ${failing.message}` : ''}`
  const wasAvailable = findCondition(previous, 'EngineAvailable')?.status === 'True'
  if (rollout.available >= rollout.desired) return ok('EngineAvailable', 'ReplicasAvailable', told)
  if (rollout.available > 0 && wasAvailable) return ok('EngineAvailable', 'Degraded', `${told}${why}`)
  if (progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded') {
    return waiting('EngineAvailable', 'ProgressDeadlineExceeded', `${told}; see its Pods${why}`, { deadlineMs: 0 })
  }
  return waiting('EngineAvailable', 'Starting', `${told}${why}`, { deadlineMs: 12 * MINUTE_MS })
}

export function networkStatement(spec: MailServerSpec, observed: Observed): Statement {
  const name = mailServiceName(observed.key.name)
  if (!observed.children.has(idFor({ kind: 'Service' }, name))) {
    return waiting('NetworkReady', 'Creating', `Service ${name} is being made`)
  }
  if (spec.service.type !== 'LoadBalancer') {
    return ok('NetworkReady', spec.service.type, `Service ${name} has type ${spec.service.type}`)
  }
  if (observed.addresses.length === 0) {
    return waiting('NetworkReady', 'AddressPending', `Service ${name} has no load balancer address yet`)
  }
  return ok('NetworkReady', 'AddressAssigned', `Service ${name} has ${observed.addresses.join(', ')}`)
}
