/** BackupReady, RoutesReady, MonitoringReady: said only of what the spec asks for, and never in the way of Ready. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition } from '../../kube/types.ts'
import { databaseName } from '../desired/names.ts'
import { idFor, OPTIONAL, type OptionalKind, wantedKinds } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { recoveryWindow } from './database.ts'
import { routesStatement } from './routes.ts'
import { type DependencyType, MINUTE_MS, ok, type Statement } from './statement.ts'

export function integrationStatements(spec: MailServerSpec, observed: Observed): Statement[] {
  const { gateway } = observed
  const wanted = wantedKinds(spec)
  const asked = (kinds: OptionalKind[]) => kinds.filter((kind) => wanted.has(kind))
  const backup = spec.database.cnpg?.backup ? asked(['ObjectStore', 'ScheduledBackup']) : []
  const routes = asked(['HTTPRoute', 'TCPRoute'])
  const monitoring = asked(['PodMonitor', 'PrometheusRule'])
  return [
    ...(backup.length > 0 ? [missingKind('BackupReady', backup, observed) ?? backupStatement(spec, observed)] : []),
    ...(gateway ? [missingKind('RoutesReady', routes, observed) ?? routesStatement(gateway, spec, observed)] : []),
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

/** CloudNativePG says of the Cluster how its archive and its last backup fared, the plugin which backups there are. */
function backupStatement(spec: MailServerSpec, observed: Observed): Statement {
  const name = databaseName(observed.key.name)
  const cluster = observed.children.get(idFor({ kind: 'Cluster' }, name))
  const { conditions } = (cluster?.status ?? {}) as { conditions?: Condition[] }
  const archiving = findCondition(conditions, 'ContinuousArchiving')
  const last = findCondition(conditions, 'LastBackupSucceeded')
  if (archiving?.status === 'False')
    return off('BackupReady', 'ArchivingFails', `Cluster ${name}: ${archiving.message}`)
  if (last?.status === 'False') return off('BackupReady', 'BackupFailed', `Cluster ${name}: ${last.message}`)
  if (archiving?.status !== 'True')
    return off('BackupReady', 'Waiting', `Cluster ${name} has not archived anything yet`)
  const { lastSuccessfulBackupTime } = recoveryWindow(spec, observed)
  const told = `Cluster ${name} archives its write-ahead log`
  // The log alone restores nothing.
  if (!lastSuccessfulBackupTime) return off('BackupReady', 'NoBackup', `${told}, but there is no base backup yet`)
  return ok('BackupReady', 'Archiving', `${told}; the last backup is of ${lastSuccessfulBackupTime}`)
}
