/** The CloudNativePG Cluster. Deleting one deletes its volumes, so the MailServer does not own it. */

import { SERVER_LABEL } from '../../api/group.ts'
import type { CnpgSpec } from '../../api/mail-server-spec.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, optionalObject } from './context.ts'
import { databaseName } from './names.ts'
import { poolerHosts } from './pooler.ts'
import { archiveName, BARMAN, objectStore, origin, recoveryIsPending } from './recovery.ts'

/**
 * None for an external database, while CloudNativePG is not installed, before a recovery that waits for the old one to go,
 * and in place of one that was lost.
 */
export function databaseCluster(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  const { cnpg } = spec.database
  if (!cnpg || facts.lostCluster || recoveryIsPending(spec, facts.cluster)) return undefined
  const serverName = archiveName(server.name, spec, facts.cluster)
  const postgresql = {
    ...(cnpg.parameters ? { parameters: cnpg.parameters } : {}),
    ...synchronous(cnpg),
  }
  const affinity = affinityOf(cnpg)
  return optionalObject(
    context,
    'Cluster',
    databaseName(server.name),
    {
      spec: {
        instances: cnpg.instances,
        ...(cnpg.imageName ? { imageName: cnpg.imageName } : {}),
        ...(cnpg.imageCatalogRef
          ? { imageCatalogRef: { apiGroup: 'postgresql.cnpg.io', ...cnpg.imageCatalogRef } }
          : {}),
        ...(cnpg.primaryUpdateMethod ? { primaryUpdateMethod: cnpg.primaryUpdateMethod } : {}),
        ...(cnpg.priorityClassName ? { priorityClassName: cnpg.priorityClassName } : {}),
        // Its Secrets carry our label, so that a rotated password reaches us by watch.
        inheritedMetadata: { labels: { [SERVER_LABEL]: server.name } },
        ...origin(context),
        // PgBouncer shows the certificate of Postgres: as long as there is one, it must be good for its name too.
        ...(cnpg.pooler || facts.pooler ? { certificates: { serverAltDNSNames: poolerHosts(server) } } : {}),
        storage: volume(cnpg.storage),
        ...(cnpg.walStorage ? { walStorage: volume(cnpg.walStorage) } : {}),
        ...(Object.keys(postgresql).length > 0 ? { postgresql } : {}),
        // At creation already: adding the plugin later restarts every instance.
        ...(cnpg.backup
          ? {
              plugins: [
                {
                  name: BARMAN,
                  isWALArchiver: true,
                  parameters: {
                    barmanObjectName: databaseName(server.name),
                    ...(serverName ? { serverName } : {}),
                  },
                },
              ],
            }
          : {}),
        ...(cnpg.resources ? { resources: cnpg.resources } : {}),
        ...(Object.keys(affinity).length > 0 ? { affinity } : {}),
      },
    },
    { component: 'mail-database', owned: false },
  )
}

function affinityOf({ antiAffinity, nodeSelector, tolerations }: CnpgSpec): Record<string, unknown> {
  return {
    ...(antiAffinity
      ? {
          enablePodAntiAffinity: true,
          podAntiAffinityType: antiAffinity.type,
          topologyKey: antiAffinity.topologyKey,
        }
      : {}),
    ...(nodeSelector ? { nodeSelector } : {}),
    ...(tolerations ? { tolerations } : {}),
  }
}

/** What was acknowledged is on a standby too: a failover must lose no mail, and a lost standby must stop none. */
function synchronous({ instances, synchronousReplicas, dataDurability }: CnpgSpec): Record<string, unknown> {
  const number = synchronousReplicas ?? Math.min(1, instances - 1)
  const durability = dataDurability ?? (synchronousReplicas === undefined ? 'preferred' : undefined)
  if (number === 0) return {}
  return { synchronous: { method: 'any', number, ...(durability ? { dataDurability: durability } : {}) } }
}

const volume = ({ size, storageClass }: { size: string | number; storageClass?: string | undefined }) => ({
  size: String(size),
  ...(storageClass ? { storageClass } : {}),
})

/** Where base backups and the write-ahead log go, for the Barman Cloud plugin. */
export function backupStore(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  const backup = spec.database.cnpg?.backup
  if (!backup || recoveryIsPending(spec, facts.cluster)) return undefined
  return objectStore(context, databaseName(server.name), backup, { retentionPolicy: backup.retention })
}

export function scheduledBackup(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  const backup = spec.database.cnpg?.backup
  if (!backup || recoveryIsPending(spec, facts.cluster)) return undefined
  const name = databaseName(server.name)
  return optionalObject(
    context,
    'ScheduledBackup',
    name,
    {
      spec: {
        schedule: backup.schedule,
        cluster: { name },
        method: 'plugin', // the CRD's default is the deprecated barmanObjectStore
        pluginConfiguration: { name: BARMAN },
        backupOwnerReference: 'self',
        immediate: true,
      },
    },
    { component: 'mail-database', owned: false },
  )
}
