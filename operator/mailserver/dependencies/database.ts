/** DatabaseReady. */

import { durationMs } from '../../api/duration.ts'
import { ACCEPT_LOSS } from '../../api/group.ts'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import type { MailServerStatus } from '../../api/mail-server-status.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import { poolerIsNamed, poolerUse, readyPoolers } from '../database-url.ts'
import { databaseName, poolerName } from '../desired/names.ts'
import { archiveName, askedRecovery, performedRecovery, recoveryIsPending } from '../desired/recovery.ts'
import { idFor, OPTIONAL } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { MINUTE_MS, ok, POLL_MS, type Statement, waiting } from './statement.ts'

interface ClusterStatus {
  phase?: string
  phaseReason?: string
  instances?: number
  readyInstances?: number
  currentPrimary?: string
  targetPrimary?: string
  conditions?: Condition[]
}

interface PoolerStatus {
  phase?: string
  phaseReason?: string
  error?: string
}

/** ObjectStore.status.serverRecoveryWindow[serverName]; times in RFC 3339. */
interface RecoveryWindow {
  firstRecoverabilityPoint?: string
  lastSuccessfulBackupTime?: string
}

/** Phases that CloudNativePG itself does not get out of (api/v1/cluster_types.go); all other text is for reading only. */
const TERMINAL_PHASES = [
  'Cluster is unrecoverable and needs manual intervention',
  'Cluster cannot proceed to reconciliation due to an unknown plugin being required',
  'Cluster cannot proceed to reconciliation due to an incomplete or wrong definition',
  'Cluster has incomplete or invalid image catalog',
]

export function databaseStatement(spec: MailServerSpec, observed: Observed): Statement {
  const external = spec.database.secretRef
  return external ? externalStatement(external, observed) : clusterStatement(spec, observed)
}

function externalStatement({ name, key }: { name: string; key: string }, { secrets }: Observed): Statement {
  const { database } = secrets
  if (!database?.found) {
    return waiting('DatabaseReady', 'SecretMissing', `Secret ${name} (spec.database.secretRef) does not exist`, {
      pollMs: POLL_MS,
    })
  }
  const url = database.text[key]
  if (!url) {
    return waiting('DatabaseReady', 'SecretKeyMissing', `Secret ${name} has no key ${key}`, { pollMs: POLL_MS })
  }
  if (!/^postgres(ql)?:\/\//.test(url)) {
    return waiting('DatabaseReady', 'NotAPostgresUrl', `Secret ${name}, key ${key} is not a postgres:// URL`, {
      pollMs: POLL_MS,
    })
  }
  return ok('DatabaseReady', 'External', `The database of Secret ${name} is used; the engine’s readiness tells of it`)
}

function clusterStatement(spec: MailServerSpec, observed: Observed): Statement {
  const { key, served, children, secrets } = observed
  const name = databaseName(key.name)
  const deadlineMs = durationMs(spec.database.cnpg?.readyTimeout ?? '') ?? 20 * MINUTE_MS
  if (!served.Cluster) {
    const message = 'CloudNativePG is not installed: the API serves no clusters.postgresql.cnpg.io'
    return waiting('DatabaseReady', 'CRDMissing', message, { pollMs: POLL_MS, deadlineMs })
  }
  const cluster = children.get(idFor({ kind: 'Cluster' }, name))
  if (observed.lostCluster !== undefined && !recoveryIsPending(spec, cluster)) {
    return waiting('DatabaseReady', 'DatabaseLost', lossOf(name, cluster, spec, observed), { terminal: true })
  }
  if (!cluster) return waiting('DatabaseReady', 'Creating', `Cluster ${name} is being made`, { deadlineMs })
  if (recoveryIsPending(spec, cluster)) {
    const message = `Cluster ${name} exists, and a recovery only makes a new one: delete the Cluster, or remove spec.database.cnpg.recovery`
    return waiting('DatabaseReady', 'RecoveryPending', message, { terminal: true })
  }
  const status = (cluster.status ?? {}) as ClusterStatus
  const { phase = 'no status yet', phaseReason, readyInstances = 0, currentPrimary, targetPrimary } = status
  const told = `Cluster ${name}: ${phase}${phaseReason ? ` (${phaseReason})` : ''}`
  if (TERMINAL_PHASES.includes(phase)) return waiting('DatabaseReady', 'Unrecoverable', told, { terminal: true })
  const ready = findCondition(status.conditions, 'Ready')?.status === 'True'
  // CloudNativePG has no observedGeneration: a stale Ready shows in these only.
  if (readyInstances < 1 || currentPrimary === undefined) {
    return waiting('DatabaseReady', 'Provisioning', told, { deadlineMs })
  }
  if (currentPrimary !== targetPrimary) return waiting('DatabaseReady', 'SwitchingOver', told, { deadlineMs })
  if (!secrets.database?.found || !secrets.database.text.uri) {
    const message = `Secret ${name}-app with key uri does not exist yet`
    return waiting('DatabaseReady', 'SecretMissing', message, { pollMs: POLL_MS, deadlineMs })
  }
  const pooled = poolerStatement(spec, observed, deadlineMs)
  if (pooled?.status === 'False') return pooled
  const wanted = spec.database.cnpg?.instances ?? 1
  if (!ready || readyInstances < wanted) {
    // It serves, with less behind it than it should have.
    return ok('DatabaseReady', 'Degraded', `${readyInstances} of ${wanted} instances are ready. ${told}`)
  }
  if (pooled) return pooled
  return ok('DatabaseReady', 'ClusterReady', `Cluster ${name} is healthy with ${readyInstances} instances`)
}

function lossOf(
  name: string,
  cluster: KubeObject | undefined,
  spec: MailServerSpec,
  { lostCluster }: Observed,
): string {
  const gone = `Cluster ${name}, which held the mail, is gone${cluster ? ', and another one has its name' : ''}`
  const done = askedRecovery(spec)
    ? 'another spec.database.cnpg.recovery than it was made by'
    : 'spec.database.cnpg.recovery'
  const wanted = cluster ? 'what is there' : 'a new one'
  return `${gone}. Restore it (${done}), or accept the loss and go on with ${wanted}: annotate ${ACCEPT_LOSS}=${lostCluster}`
}

/** What is to be said of the Pooler; undefined without one, and while all is well with it. */
function poolerStatement(spec: MailServerSpec, observed: Observed, deadlineMs: number): Statement | undefined {
  const { pooler } = spec.database.cnpg ?? {}
  const use = poolerUse(spec, observed)
  if (!pooler || use === 'none') return undefined
  if (!observed.served.Pooler) {
    const { plural, group } = OPTIONAL.Pooler
    const message = `The API serves no ${plural}.${group}: the engine is connected to the Cluster itself`
    return { ...ok('DatabaseReady', 'PoolerMissing', message), pollMs: MINUTE_MS }
  }
  const ready = readyPoolers(observed)
  const told = poolerText(observed, `${ready} of ${pooler.instances} instances are ready`)
  if (use === 'waiting') return waiting('DatabaseReady', 'PoolerStarting', told, { deadlineMs })
  if (use === 'direct') {
    return ok('DatabaseReady', 'PoolerStarting', `${told}; until then the engine is connected to the Cluster itself`)
  }
  if (ready === 0) return waiting('DatabaseReady', 'PoolerUnavailable', told, { deadlineMs })
  const { phase = 'active' } = poolerStatusOf(observed)
  return ready < pooler.instances || phase !== 'active' ? ok('DatabaseReady', 'PoolerDegraded', told) : undefined
}

function poolerStatusOf({ key, children }: Observed): PoolerStatus {
  return (children.get(idFor({ kind: 'Pooler' }, poolerName(key.name)))?.status ?? {}) as PoolerStatus
}

function poolerText(observed: Observed, count: string): string {
  const name = poolerName(observed.key.name)
  const { phase, phaseReason, error } = poolerStatusOf(observed)
  const why = phaseReason || error
  const certificate = poolerIsNamed(observed) ? '' : '; the certificate does not have its name yet'
  return `Pooler ${name}: ${phase ? `${phase}, ` : ''}${count}${why ? ` (${why})` : ''}${certificate}`
}

/** What the Barman Cloud plugin tells of a server's backups in the ObjectStore; CloudNativePG's own fields know none of them. */
export function recoveryWindow(spec: MailServerSpec, { key, children }: Observed): RecoveryWindow {
  const name = databaseName(key.name)
  const server = archiveName(key.name, spec, children.get(idFor({ kind: 'Cluster' }, name))) ?? name
  const store = children.get(idFor({ kind: 'ObjectStore' }, name))
  const status = store?.status as { serverRecoveryWindow?: Record<string, RecoveryWindow> } | undefined
  return status?.serverRecoveryWindow?.[server] ?? {}
}

/** status.database. @param inUse an engine with an account runs with it */
export function databaseFacts(
  spec: MailServerSpec,
  observed: Observed,
  inUse: boolean,
): NonNullable<MailServerStatus['database']> {
  const { key, children, held } = observed
  const { secretRef } = spec.database
  if (secretRef) return { kind: 'External', name: secretRef.name }
  const name = databaseName(key.name)
  const cluster = children.get(idFor({ kind: 'Cluster' }, name))
  const status = (cluster?.status ?? {}) as ClusterStatus
  const clusterUid = inUse ? cluster?.metadata.uid : held.clusterUid
  const recovery = inUse ? performedRecovery(cluster) : held.recovery
  const { lastSuccessfulBackupTime, firstRecoverabilityPoint } = spec.database.cnpg?.backup
    ? recoveryWindow(spec, observed)
    : {}
  return {
    kind: 'CloudNativePG',
    name,
    ...(status.instances === undefined ? {} : { instances: status.instances }),
    ...(status.readyInstances === undefined ? {} : { readyInstances: status.readyInstances }),
    ...(status.currentPrimary === undefined ? {} : { primary: status.currentPrimary }),
    ...(clusterUid === undefined ? {} : { clusterUid }),
    ...(recovery === undefined ? {} : { recovery }),
    ...(lastSuccessfulBackupTime ? { lastBackup: lastSuccessfulBackupTime } : {}),
    ...(firstRecoverabilityPoint ? { recoveryPointFirst: firstRecoverabilityPoint } : {}),
  }
}
