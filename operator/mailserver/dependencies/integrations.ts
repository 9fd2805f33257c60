/** BackupReady, RoutesReady, MonitoringReady: said only of what the spec asks for, and never in the way of Ready. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import { databaseName } from '../desired/names.ts'
import { idFor, OPTIONAL, type OptionalKind, wantedKinds } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { type DependencyType, MINUTE_MS, ok, type Statement } from './statement.ts'

export function integrationStatements(spec: MailServerSpec, observed: Observed): Statement[] {
  const wanted = wantedKinds(spec)
  const asked = (kinds: OptionalKind[]) => kinds.filter((kind) => wanted.has(kind))
  const backup = asked(['ObjectStore', 'ScheduledBackup'])
  const routes = asked(['HTTPRoute', 'TCPRoute'])
  const monitoring = asked(['PodMonitor', 'PrometheusRule'])
  return [
    ...(backup.length > 0 ? [missingKind('BackupReady', backup, observed) ?? backupStatement(observed)] : []),
    ...(routes.length > 0 ? [missingKind('RoutesReady', routes, observed) ?? routesStatement(observed)] : []),
    ...(monitoring.length > 0
      ? [missingKind('MonitoringReady', monitoring, observed) ?? ok('MonitoringReady', 'Applied', 'Prometheus is told')]
      : []),
  ]
}

/** Without a deadline: a kind that is not installed may be installed next year. */
const off = (type: DependencyType, reason: string, message: string, pollMs?: number): Statement => ({
  type,
  status: 'False',
  reason,
  message,
  ...(pollMs === undefined ? {} : { pollMs }),
})

function missingKind(type: DependencyType, kinds: OptionalKind[], { served }: Observed): Statement | undefined {
  const [missing] = kinds.filter((kind) => !served[kind])
  if (!missing) return undefined
  const { product, plural, group } = OPTIONAL[missing]
  const message = `${product} is not installed: the API serves no ${plural}.${group}`
  return off(type, 'CRDMissing', message, MINUTE_MS)
}

/** CloudNativePG says of the Cluster how its archive and its last backup fared. */
function backupStatement({ key, children }: Observed): Statement {
  const name = databaseName(key.name)
  const cluster = children.get(idFor({ kind: 'Cluster' }, name))
  const { conditions, lastSuccessfulBackup } = (cluster?.status ?? {}) as {
    conditions?: Condition[]
    lastSuccessfulBackup?: string
  }
  const archiving = findCondition(conditions, 'ContinuousArchiving')
  const last = findCondition(conditions, 'LastBackupSucceeded')
  if (archiving?.status === 'False')
    return off('BackupReady', 'ArchivingFails', `Cluster ${name}: ${archiving.message}`)
  if (last?.status === 'False') return off('BackupReady', 'BackupFailed', `Cluster ${name}: ${last.message}`)
  if (archiving?.status !== 'True')
    return off('BackupReady', 'Waiting', `Cluster ${name} has not archived anything yet`)
  const when = lastSuccessfulBackup ? `; the last backup is of ${lastSuccessfulBackup}` : ''
  return ok('BackupReady', 'Archiving', `Cluster ${name} archives its write-ahead log${when}`)
}

/** A route is in use when each Gateway it names has accepted it. */
function routesStatement({ children }: Observed): Statement {
  const routes = [...children.values()].filter(({ kind }) => kind === 'HTTPRoute' || kind === 'TCPRoute')
  const unaccepted = routes.filter((route) => !isAccepted(route))
  const [first] = unaccepted
  if (!first) return ok('RoutesReady', 'Accepted', `${routes.length} routes are accepted`)
  const [parent] = parentsOf(first)
  const why = findCondition(parent?.conditions, 'Accepted')?.message ?? 'no Gateway has looked at it yet'
  return off('RoutesReady', 'NotAccepted', `${first.kind} ${first.metadata.name}: ${why}`)
}

function isAccepted(route: KubeObject): boolean {
  const parents = parentsOf(route)
  return (
    parents.length > 0 && parents.every(({ conditions }) => findCondition(conditions, 'Accepted')?.status === 'True')
  )
}

function parentsOf(route: KubeObject): { conditions?: Condition[] }[] {
  return (route.status as { parents?: { conditions?: Condition[] }[] } | undefined)?.parents ?? []
}
