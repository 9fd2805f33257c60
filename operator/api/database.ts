/** spec.database: a CloudNativePG cluster of ours, or an existing Postgres. */

import { z } from 'zod'
import {
  byteQuantity,
  cel,
  duration,
  endpointUrl,
  imageReference,
  objectName,
  resources,
  secretKeyRef,
  secretRef,
  stringMap,
  tolerations,
} from './fields.ts'

const volume = (size: string) =>
  z.strictObject({
    size: byteQuantity('1Mi', '1Ei')
      .default(size)
      .meta({ description: 'Size of each instance’s volume; it can grow, not shrink.' }),
    storageClass: objectName().optional().meta({ description: 'Default: the cluster’s default StorageClass.' }),
  })

/** Where the Barman Cloud plugin keeps backups of any number of servers. */
const objectStore = {
  destinationPath: z
    .string()
    .max(512)
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/.*)?$/)
    .meta({ description: 's3://bucket/path/ for base backups and the write-ahead log.' }),
  endpoint: endpointUrl().optional().meta({ description: 'Of an S3-compatible service other than AWS.' }),
  credentialsSecretRef: secretRef().meta({ description: 'Secret with the keys accessKey and secretKey.' }),
}

const backup = z.strictObject({
  ...objectStore,
  serverName: objectName().optional().meta({
    description: 'Folder below destinationPath, for the Cluster’s life. Default: the Cluster’s name.',
  }),
  schedule: z
    .string()
    .max(64)
    .regex(/^(@[a-z]+|\S+( \S+){5})$/)
    .default('0 0 2 * * *')
    .meta({ description: 'Cron with SIX fields, seconds first.' }),
  retention: z
    .string()
    .regex(/^[1-9][0-9]*[dwm]$/)
    .max(8)
    .default('30d')
    .meta({ description: 'How far back a restore can go: 30d, 8w, 6m.' }),
})

/** Without defaults: a hash of it tells one recovery from another (desired/recovery.ts). */
const recovery = z
  .strictObject({
    ...objectStore,
    serverName: objectName().meta({
      description: 'Folder below destinationPath: serverName of the backup, else the name of the Cluster that made it.',
    }),
    targetTime: z
      .string()
      .max(40)
      .regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$/)
      .optional()
      .meta({ description: 'The last moment that is restored, RFC 3339. Default: all there is.' }),
    targetLSN: z
      .string()
      .max(17)
      .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)
      .optional()
      .meta({ description: 'The last position in the write-ahead log that is restored.' }),
    targetName: z
      .string()
      .max(63)
      .regex(/^[ -~]+$/)
      .optional()
      .meta({ description: 'A restore point made by pg_create_restore_point; needs backupID.' }),
    backupID: z
      .string()
      .max(64)
      .regex(/^[0-9A-Za-z_-]+$/)
      .optional()
      .meta({ description: 'The base backup to begin with, e.g. 20260601T020000. Default: the one that fits.' }),
  })
  .meta(
    cel(
      {
        rule: '[has(self.targetTime), has(self.targetLSN), has(self.targetName)].filter(given, given).size() <= 1',
        message: 'at most one of targetTime, targetLSN and targetName may be given',
      },
      { rule: '!has(self.targetName) || has(self.backupID)', message: 'targetName needs backupID' },
    ),
  )

const pooler = z.strictObject({
  instances: z.int().min(1).max(20).default(2).meta({ description: 'Pods of PgBouncer.' }),
  parameters: stringMap(64).optional().meta({
    description:
      'PgBouncer settings that CloudNativePG lets through. Default: max_client_conn 1000, default_pool_size as many as Postgres takes.',
  }),
  resources: resources().optional().meta({ description: 'Requests and limits of each PgBouncer.' }),
})

const imageCatalogRef = z.strictObject({
  kind: z.enum(['ImageCatalog', 'ClusterImageCatalog']).default('ImageCatalog'),
  name: objectName(),
  major: z.int().min(13).max(99).meta({ description: 'Major version of Postgres.' }),
})

const cnpg = z
  .strictObject({
    instances: z
      .int()
      .min(1)
      .max(9)
      .default(3)
      .meta({ description: 'Postgres instances: one primary and its standbys.' }),
    storage: volume('20Gi').prefault({}).meta({ description: 'Volume of each instance.' }),
    walStorage: volume('5Gi')
      .optional()
      .meta({ description: 'Separate volume for the write-ahead log. Cannot be removed once set.' }),
    imageName: imageReference()
      .optional()
      .meta({ description: 'Postgres image; default: CloudNativePG’s own, and never changed behind its back.' }),
    imageCatalogRef: imageCatalogRef
      .optional()
      .meta({ description: 'Postgres image from a catalog of CloudNativePG.' }),
    parameters: stringMap(200)
      .optional()
      .meta({ description: 'postgresql.conf settings, e.g. shared_buffers: 512MB.' }),
    resources: resources().optional().meta({ description: 'Requests and limits of each instance.' }),
    synchronousReplicas: z.int().min(0).max(8).optional().meta({
      description:
        'A commit waits for so many standbys, so that a failover loses nothing that was acknowledged; 0 is asynchronous replication. Default: 1 where there is a standby.',
    }),
    dataDurability: z.enum(['required', 'preferred']).optional().meta({
      description:
        'When fewer standbys than synchronousReplicas are healthy: required waits, preferred goes on with those there are. Default: preferred, and CloudNativePG’s (required) where synchronousReplicas is given.',
    }),
    primaryUpdateMethod: z.enum(['restart', 'switchover']).optional().meta({
      description: 'How the primary is updated, after its standbys. Default: CloudNativePG’s (restart).',
    }),
    nodeSelector: stringMap(32, 63).optional().meta({ description: 'Of Postgres and PgBouncer.' }),
    tolerations: tolerations().optional().meta({ description: 'Of Postgres and PgBouncer.' }),
    priorityClassName: objectName().optional().meta({ description: 'Of Postgres and PgBouncer.' }),
    pooler: pooler.optional().meta({
      description: 'PgBouncer between the engine and the primary: a Pooler `<name>-db-pooler` in session mode.',
    }),
    antiAffinity: z
      .strictObject({
        type: z.enum(['preferred', 'required']).default('preferred'),
        topologyKey: z.string().max(316).default('kubernetes.io/hostname'),
      })
      .optional()
      .meta({ description: 'How instances are kept apart; default: CloudNativePG’s (preferred, by host).' }),
    backup: backup.optional().meta({
      description: 'Backups by the Barman Cloud plugin, which must be installed beside CloudNativePG.',
    }),
    recovery: recovery.optional().meta({
      description:
        'Backups that the database is made from instead of empty. Has its effect when the Cluster is made: one that exists is never changed by it.',
    }),
    readyTimeout: duration()
      .default('20m')
      .meta({ description: 'After so long without a healthy database the MailServer is Stalled and says why.' }),
  })
  .meta(
    cel(
      {
        rule: '!has(self.synchronousReplicas) || self.instances > self.synchronousReplicas',
        message: 'synchronousReplicas must be below instances: the primary is none',
      },
      {
        rule: '!has(self.dataDurability) || (has(self.synchronousReplicas) ? self.synchronousReplicas > 0 : self.instances > 1)',
        message: 'dataDurability needs a synchronous standby',
      },
      {
        rule: '!(has(self.imageName) && has(self.imageCatalogRef))',
        message: 'at most one of imageName and imageCatalogRef may be given',
      },
      {
        // Two timelines in one archive make neither restorable.
        rule: '!has(self.recovery) || !has(self.backup) || (has(self.backup.serverName) && self.backup.serverName != self.recovery.serverName)',
        message:
          'a restored database archives under a name of its own: backup.serverName must be given and differ from recovery.serverName',
      },
      {
        rule: '!has(self.recovery) || !has(oldSelf.recovery) || self.recovery == oldSelf.recovery',
        message: 'recovery cannot be changed: remove it, then give the new one',
      },
      {
        rule: "(has(self.recovery) && !has(oldSelf.recovery)) || !has(self.backup) || !has(oldSelf.backup) || (has(self.backup.serverName) ? self.backup.serverName : '') == (has(oldSelf.backup.serverName) ? oldSelf.backup.serverName : '')",
        message: 'backup.serverName can be changed only when a recovery is added',
      },
    ),
  )

/** Default: a CloudNativePG cluster of three instances. */
export const database = z
  .strictObject({
    cnpg: cnpg.optional().meta({
      description:
        'A CloudNativePG Cluster `<name>-db` that the operator makes. It survives the MailServer unless deletionPolicy is Delete.',
    }),
    secretRef: secretKeyRef('url')
      .optional()
      .meta({ description: 'Key of a Secret with the postgres:// URL of an existing database.' }),
  })
  .meta(
    cel({ rule: 'has(self.cnpg) != has(self.secretRef)', message: 'exactly one of cnpg and secretRef must be given' }),
  )
  .default({ cnpg: { instances: 3, storage: { size: '20Gi' }, readyTimeout: '20m' } })
  .meta({ description: 'Where accounts, mailboxes, the message index and the queue are kept.' })
