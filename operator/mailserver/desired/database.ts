/** The CloudNativePG Cluster. Deleting one deletes its volumes, so it is owned only under deletionPolicy Delete. */

import { SERVER_LABEL } from '../../api/group.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, optionalObject, ownsData } from './context.ts'
import { databaseName } from './names.ts'

const BARMAN = 'barman-cloud.cloudnative-pg.io'

/** None for an external database, and while CloudNativePG is not installed. */
export function databaseCluster(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  const { cnpg } = spec.database
  if (!cnpg) return undefined
  const postgresql = {
    ...(cnpg.parameters ? { parameters: cnpg.parameters } : {}),
    ...(cnpg.synchronousReplicas > 0 ? { synchronous: { method: 'any', number: cnpg.synchronousReplicas } } : {}),
  }
  const { antiAffinity } = cnpg
  return optionalObject(
    context,
    'Cluster',
    databaseName(server.name),
    {
      spec: {
        instances: cnpg.instances,
        ...(cnpg.imageName ? { imageName: cnpg.imageName } : {}),
        // Its Secrets carry our label, so that a rotated password reaches us by watch.
        inheritedMetadata: { labels: { [SERVER_LABEL]: server.name } },
        bootstrap: { initdb: { database: 'app', owner: 'app', encoding: 'UTF8', dataChecksums: true } },
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
                  parameters: { barmanObjectName: databaseName(server.name) },
                },
              ],
            }
          : {}),
        ...(cnpg.resources ? { resources: cnpg.resources } : {}),
        ...(antiAffinity
          ? {
              affinity: {
                enablePodAntiAffinity: true,
                podAntiAffinityType: antiAffinity.type,
                topologyKey: antiAffinity.topologyKey,
              },
            }
          : {}),
      },
    },
    { component: 'mail-database', owned: ownsData(spec) },
  )
}

const volume = ({ size, storageClass }: { size: string | number; storageClass?: string | undefined }) => ({
  size: String(size),
  ...(storageClass ? { storageClass } : {}),
})

/** Where base backups and the write-ahead log go, for the Barman Cloud plugin. */
export function backupStore(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  const backup = spec.database.cnpg?.backup
  if (!backup) return undefined
  const key = (name: string) => ({ name: backup.credentialsSecretRef.name, key: name })
  return optionalObject(
    context,
    'ObjectStore',
    databaseName(server.name),
    {
      spec: {
        retentionPolicy: backup.retention,
        configuration: {
          destinationPath: backup.destinationPath,
          ...(backup.endpoint ? { endpointURL: backup.endpoint } : {}),
          s3Credentials: { accessKeyId: key('accessKey'), secretAccessKey: key('secretKey') },
          wal: { compression: 'gzip' },
        },
      },
    },
    // What tells where the backups are outlives the MailServer as they do.
    { component: 'mail-database', owned: ownsData(spec) },
  )
}

export function scheduledBackup(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  const backup = spec.database.cnpg?.backup
  if (!backup) return undefined
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
    { component: 'mail-database', owned: ownsData(spec) },
  )
}
