/** DatabaseReady. */

import { durationMs } from '../../api/duration.ts'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition } from '../../kube/types.ts'
import { databaseName } from '../desired/names.ts'
import { idFor } from '../kinds.ts'
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

function clusterStatement(spec: MailServerSpec, { key, served, children, secrets }: Observed): Statement {
  const name = databaseName(key.name)
  const deadlineMs = durationMs(spec.database.cnpg?.readyTimeout ?? '') ?? 20 * MINUTE_MS
  if (!served.Cluster) {
    const message = 'CloudNativePG is not installed: the API serves no clusters.postgresql.cnpg.io'
    return waiting('DatabaseReady', 'CRDMissing', message, { pollMs: POLL_MS, deadlineMs })
  }
  const cluster = children.get(idFor({ kind: 'Cluster' }, name))
  if (!cluster) return waiting('DatabaseReady', 'Creating', `Cluster ${name} is being made`, { deadlineMs })
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
  const wanted = spec.database.cnpg?.instances ?? 1
  if (!ready || readyInstances < wanted) {
    // It serves, with less behind it than it should have.
    return ok('DatabaseReady', 'Degraded', `${readyInstances} of ${wanted} instances are ready. ${told}`)
  }
  return ok('DatabaseReady', 'ClusterReady', `Cluster ${name} is healthy with ${readyInstances} instances`)
}

/** status.database. */
export function databaseFacts(spec: MailServerSpec, { key, children }: Observed) {
  const { secretRef } = spec.database
  if (secretRef) return { kind: 'External' as const, name: secretRef.name }
  const name = databaseName(key.name)
  const status = (children.get(idFor({ kind: 'Cluster' }, name))?.status ?? {}) as ClusterStatus
  return {
    kind: 'CloudNativePG' as const,
    name,
    ...(status.instances === undefined ? {} : { instances: status.instances }),
    ...(status.readyInstances === undefined ? {} : { readyInstances: status.readyInstances }),
    ...(status.currentPrimary === undefined ? {} : { primary: status.currentPrimary }),
  }
}
