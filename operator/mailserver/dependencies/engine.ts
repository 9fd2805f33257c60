/** EngineAvailable and NetworkReady. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { readCertificate } from '../../certificates/authority.ts'
import { findCondition } from '../../kube/conditions.ts'
import { type Condition, type KubeObject, keyText } from '../../kube/types.ts'
import type { Trouble } from '../conditions.ts'
import { mailServiceName } from '../desired/names.ts'
import { idFor } from '../kinds.ts'
import type { Observed, SecretView } from '../observe.ts'
import { MINUTE_MS, ok, SCALED_TO_ZERO, type Statement, waiting } from './statement.ts'

interface DeploymentStatus {
  observedGeneration?: number
  replicas?: number
  updatedReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  terminatingReplicas?: number
  conditions?: Condition[]
}

export interface Rollout {
  desired: number
  /** Pods there are. */
  total: number
  updated: number
  ready: number
  available: number
  /** Pods on their way out, which `total` does not count; 0 too where Kubernetes does not tell. */
  terminating: number
  /** The Deployment's controller has seen the newest template. */
  seen: boolean
  done: boolean
  /** Why Kubernetes gave the rollout up; undefined while it has not. */
  stuck: string | undefined
}

export function rolloutOf(deployment: KubeObject): Rollout {
  const {
    observedGeneration = 0,
    replicas = 0,
    updatedReplicas = 0,
    readyReplicas = 0,
    availableReplicas = 0,
    terminatingReplicas = 0,
    conditions,
  } = (deployment.status ?? {}) as DeploymentStatus
  const desired = (deployment.spec as { replicas?: number } | undefined)?.replicas ?? 1
  const seen = observedGeneration >= (deployment.metadata.generation ?? 0)
  const progressing = findCondition(conditions, 'Progressing')
  const gaveUp = seen && progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded'
  return {
    desired,
    total: replicas,
    updated: updatedReplicas,
    ready: readyReplicas,
    available: availableReplicas,
    terminating: terminatingReplicas,
    seen,
    done: seen && updatedReplicas === desired && replicas === desired && availableReplicas === desired,
    stuck: gaveUp ? progressing.message || progressing.reason : undefined,
  }
}

/** True while Pods of another template are being replaced, or are about to be. */
export function isReplacingPods({ seen, updated, desired, total, stuck }: Rollout): boolean {
  return stuck === undefined && (!seen || updated < desired || total > desired)
}

/** What is known to keep Pods from being made or from starting, each with "; " before it. */
function hindrances(deployment: KubeObject, { relay }: Observed['secrets']): string {
  const { conditions } = (deployment.status ?? {}) as DeploymentStatus
  const failing = findCondition(conditions, 'ReplicaFailure')
  return [
    ...(isMissing(relay) ? [`; ${named(relay)} does not exist`] : []),
    ...(failing?.status === 'True' ? [`; ${failing.message}`] : []),
  ].join('')
}

const isMissing = (secret: SecretView | undefined): secret is SecretView => secret?.found === false

const named = ({ name }: SecretView) => `Secret ${name} (spec.outbound.relay.credentialsSecretRef)`

/** "; Secret x has no password": without both keys no engine can log in, and mail to elsewhere stays in the queue. */
function relayLacks(relay: SecretView | undefined): string | undefined {
  if (!relay?.found) return undefined
  const lacking = ['username', 'password'].filter((key) => !relay.text[key]?.trim())
  return lacking.length > 0 ? `; ${named(relay)} has no ${lacking.join(' and no ')}` : undefined
}

/** Where the engines' rollout stands, for Reconciling and Stalled. */
export function rolloutStatement({ key, children, secrets }: Pick<Observed, 'key' | 'children' | 'secrets'>): {
  /** Nothing more will come of it by itself. */
  over: boolean
  progress?: string
  trouble?: Trouble
} {
  const deployment = children.get(idFor({ kind: 'Deployment' }, key.name))
  const rollout = deployment && rolloutOf(deployment)
  if (!rollout || rollout.done) return { over: true }
  const known = hindrances(deployment, secrets)
  if (rollout.stuck === undefined)
    return { over: false, progress: `Deployment ${key.name}: ${stepOf(rollout)}${known}` }
  const why = rollout.stuck.replace(/\.$/, '')
  const told = `Deployment ${key.name}: ${rollout.updated} of ${rollout.desired} replicas are up to date`
  const message = `${told} and ${rollout.available} available${known}; ${why}; see the newest Pods’ events and logs`
  return { over: true, trouble: { reason: 'ProgressDeadlineExceeded', message } }
}

/** What is waited for, as `kubectl rollout status` says it (polymorphichelpers/rollout_status.go). */
function stepOf({ seen, updated, desired, total, available }: Rollout): string {
  if (!seen) return 'Kubernetes has not seen the newest template yet'
  const told = `${updated} of ${desired} replicas are up to date`
  if (updated < desired) return told
  if (total > updated) return `${told}; old ones that have yet to end: ${total - updated}`
  return `${available} of ${updated} replicas that are up to date are available`
}

const WAITING = 'WaitingForDependencies'

/**
 * What keeps the first Pods from being made: a database and a bucket, without which they would take no mail (and must not
 * write into a bucket of somebody else), and a certificate, whose Secret they mount. Once there was a Deployment nothing
 * does: one that is lost is made again whatever is wrong just now.
 * @param certificate the chain that would be served, PEM
 */
export function startHeldUpBy(
  needed: readonly Statement[],
  certificate: string | undefined,
  previous: readonly Condition[] | undefined,
): Statement[] {
  const before = findCondition(previous, 'EngineAvailable')
  if (before && before.reason !== WAITING) return []
  const essential: Statement['type'][] = ['DatabaseReady', 'StorageReady']
  if (!readCertificate(certificate)) essential.push('CertificateReady')
  return needed.filter(({ type, status }) => status !== 'True' && essential.includes(type))
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
    const types = blocked.map(({ type }) => type).join(', ')
    // The deadline is that of what it waits for; for what keeps the Deployment from being made it is that of failures.
    const { deadlineMs: _, ...statement } =
      blocked.length === 0
        ? waiting('EngineAvailable', 'Creating', `Deployment ${name} is being made`)
        : waiting('EngineAvailable', WAITING, `Waiting for ${types}`)
    return statement
  }
  const rollout = rolloutOf(deployment)
  const told = `Deployment ${name}: ${rollout.available} of ${rollout.desired} replicas are available`
  if (rollout.desired === 0) {
    const message = `Deployment ${name} is scaled to zero: no engine runs, so no mail is taken or served`
    return ok('EngineAvailable', SCALED_TO_ZERO, message)
  }
  const { relay } = observed.secrets
  const noRelay = isMissing(relay)
  const lacks = relayLacks(relay)
  const why = `${hindrances(deployment, observed.secrets)}${lacks ?? ''}`
  const warning = noRelay ? 'RelaySecretMissing' : lacks && 'RelaySecretIncomplete'
  // Nothing tells when the Secret comes or changes: Pods that run do not need it.
  const again = warning ? { pollMs: MINUTE_MS } : {}
  const serving = (reason: string): Statement => ({
    ...ok('EngineAvailable', warning ?? reason, `${told}${why}`),
    ...again,
  })
  const wasAvailable = findCondition(previous, 'EngineAvailable')?.status === 'True'
  if (rollout.available >= rollout.desired) return serving('ReplicasAvailable')
  if (rollout.available > 0 && wasAvailable) return serving('Degraded')
  if (rollout.stuck !== undefined) {
    return waiting('EngineAvailable', 'ProgressDeadlineExceeded', `${told}; see its Pods${why}`, { deadlineMs: 0 })
  }
  // Whatever it is that the engine waits for, as a database that takes no such password: only the engine knows.
  const where = `${told}${why}; what its Pods wait for is in their events and logs`
  // Before there was a Deployment it waited for others, which may have taken long.
  const since = deployment.metadata.creationTimestamp
  return waiting('EngineAvailable', noRelay ? 'SecretMissing' : 'Starting', where, {
    deadlineMs: 12 * MINUTE_MS,
    since,
    ...again,
  })
}

export function networkStatement(spec: MailServerSpec, observed: Observed): Statement {
  const name = mailServiceName(observed.key.name)
  if (!observed.children.has(idFor({ kind: 'Service' }, name))) {
    return waiting('NetworkReady', 'Creating', `Service ${name} is being made`)
  }
  const { addresses, gateway } = observed
  if (addresses.length > 0) {
    return ok('NetworkReady', 'AddressAssigned', `${spec.hostname} leads to ${addresses.join(', ')}`)
  }
  const type = `Service ${name} has type ${spec.service.type}`
  // What RoutesReady says of one that cannot be seen is all that is known.
  if (spec.gateway?.mail && gateway && !gateway.unseen) {
    const told = `Gateway ${keyText(gateway.key)} ${gateway.gateway ? 'has no address yet' : 'does not exist'}`
    return waiting('NetworkReady', 'AddressPending', `${told}; ${type}`)
  }
  if (spec.service.type !== 'LoadBalancer') return ok('NetworkReady', spec.service.type, type)
  return waiting('NetworkReady', 'AddressPending', `Service ${name} has no load balancer address yet`)
}
