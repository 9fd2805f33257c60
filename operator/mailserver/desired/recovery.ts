/**
 * What a database is made from: empty, or from backups of the Barman Cloud plugin. That is decided when its Cluster is
 * made. CloudNativePG lets the fields be changed later, without an effect on the data but with one on the Pods (the plugin
 * serves both stores, and stops reconciling a Cluster whose store is missing), so an existing Cluster keeps what it has.
 */

import type { CnpgSpec, MailServerSpec } from '../../api/mail-server-spec.ts'
import { canonicalHash } from '../../kube/apply-if-changed.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, optionalObject } from './context.ts'
import { databaseName, recoveryStoreName } from './names.ts'

export const BARMAN = 'barman-cloud.cloudnative-pg.io'

type RecoverySpec = NonNullable<CnpgSpec['recovery']>
type StoreSpec = Pick<RecoverySpec, 'destinationPath' | 'endpoint' | 'credentialsSecretRef'>

interface LiveSpec {
  bootstrap?: { recovery?: { source?: string } }
  externalClusters?: { name: string; plugin?: Plugin }[]
  plugins?: Plugin[]
}
interface Plugin {
  name: string
  parameters?: { serverName?: string }
}

/** Told by its name, so that another recovery is known for another. */
const sourceName = (recovery: RecoverySpec) => `recovery-${canonicalHash(recovery).slice(0, 8)}`
const SOURCE_NAME = /^recovery-[0-9a-f]{8}$/

const specOf = (cluster: KubeObject | undefined) => cluster?.spec as LiveSpec | undefined

/** True when a recovery is asked for and there is a Cluster already that was not made by it. */
export function recoveryIsPending({ database }: MailServerSpec, cluster: KubeObject | undefined): boolean {
  const recovery = database.cnpg?.recovery
  return recovery !== undefined && cluster !== undefined && recoveredFrom(cluster) !== sourceName(recovery)
}

/** The recovery that the spec asks for, by its name. */
export function askedRecovery({ database }: MailServerSpec): string | undefined {
  const recovery = database.cnpg?.recovery
  return recovery && sourceName(recovery)
}

/** The recovery of a spec that a Cluster was made by, by its name; undefined for what somebody else made it from. */
export function performedRecovery(cluster: KubeObject | undefined): string | undefined {
  const source = recoveredFrom(cluster)
  return source !== undefined && SOURCE_NAME.test(source) ? source : undefined
}

function recoveredFrom(cluster: KubeObject | undefined): string | undefined {
  return specOf(cluster)?.bootstrap?.recovery?.source
}

/** bootstrap and externalClusters of the Cluster. */
export function origin({ server, spec, facts }: DesiredContext): Record<string, unknown> {
  const recovery = spec.database.cnpg?.recovery
  const { bootstrap, externalClusters = [] } = specOf(facts.cluster) ?? {}
  if (bootstrap?.recovery) {
    const { source } = bootstrap.recovery
    return {
      bootstrap: { recovery: bootstrap.recovery },
      externalClusters: externalClusters.filter(({ name }) => name === source),
    }
  }
  if (facts.cluster || !recovery) {
    return { bootstrap: { initdb: { database: 'app', owner: 'app', encoding: 'UTF8', dataChecksums: true } } }
  }
  const { targetTime, targetLSN, targetName, backupID } = recovery
  const recoveryTarget = {
    ...(targetTime ? { targetTime } : {}),
    ...(targetLSN ? { targetLSN } : {}),
    ...(targetName ? { targetName } : {}),
    ...(backupID ? { backupID } : {}),
  }
  return {
    bootstrap: {
      recovery: {
        source: sourceName(recovery),
        // With a new password: that of the backup is known to nobody here.
        database: 'app',
        owner: 'app',
        ...(Object.keys(recoveryTarget).length > 0 ? { recoveryTarget } : {}),
      },
    },
    externalClusters: [
      {
        name: sourceName(recovery),
        plugin: {
          name: BARMAN,
          // Their defaults, spelled out: what is copied from the Cluster later has them too.
          enabled: true,
          isWALArchiver: false,
          parameters: { barmanObjectName: recoveryStoreName(server.name), serverName: recovery.serverName },
        },
      },
    ],
  }
}

/**
 * The name that a database archives under; undefined for its Cluster's. It is kept for the Cluster's life, whatever becomes
 * of the spec: a gap in one archive is as bad as two histories in it. Never the one that the Cluster was recovered from.
 */
export function archiveName(server: string, { database }: MailServerSpec, cluster: KubeObject | undefined) {
  const { bootstrap, externalClusters, plugins } = specOf(cluster) ?? {}
  const archiver = plugins?.find(({ name }) => name === BARMAN)
  if (archiver) return archiver.parameters?.serverName
  const asked = database.cnpg?.backup?.serverName
  const source = externalClusters?.find(({ name }) => name === bootstrap?.recovery?.source)
  const name = asked ?? databaseName(server)
  return source && source.plugin?.parameters?.serverName === name ? `${name}-${source.name}` : asked
}

/** The backups to recover from. It stays as long as a Cluster names it (reconcile.ts), also when the spec no longer does. */
export function recoveryStore(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  const recovery = spec.database.cnpg?.recovery
  if (!recovery || recoveryIsPending(spec, facts.cluster)) return undefined
  return objectStore(context, recoveryStoreName(server.name), recovery)
}

export function objectStore(
  context: DesiredContext,
  name: string,
  { destinationPath, endpoint, credentialsSecretRef }: StoreSpec,
  more: { retentionPolicy?: string } = {},
): KubeObject | undefined {
  const key = (text: string) => ({ name: credentialsSecretRef.name, key: text })
  return optionalObject(
    context,
    'ObjectStore',
    name,
    {
      spec: {
        ...more,
        configuration: {
          destinationPath,
          ...(endpoint ? { endpointURL: endpoint } : {}),
          s3Credentials: { accessKeyId: key('accessKey'), secretAccessKey: key('secretKey') },
          wal: { compression: 'gzip' },
        },
      },
    },
    // What tells where the backups are outlives the MailServer as they do.
    { component: 'mail-database', owned: false },
  )
}

/** Ids that stay without being desired: the Cluster that a recovery waits for, with its backups, and what it was made from. */
export function keptForRecovery(server: string, spec: MailServerSpec, cluster: KubeObject | undefined): string[] {
  if (!cluster) return []
  const name = databaseName(server)
  return [
    ...(recoveredFrom(cluster) ? [`ObjectStore/${recoveryStoreName(server)}`] : []),
    ...(recoveryIsPending(spec, cluster)
      ? [
          `Cluster/${name}`,
          `ObjectStore/${name}`,
          `ScheduledBackup/${name}`,
          `ObjectStore/${recoveryStoreName(server)}`,
        ]
      : []),
  ]
}
