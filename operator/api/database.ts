/** spec.database: a CloudNativePG cluster of ours, or an existing Postgres. */

import { z } from 'zod'
import {
  cel,
  duration,
  endpointUrl,
  objectName,
  quantity,
  resources,
  secretKeyRef,
  secretRef,
  stringMap,
} from './fields.ts'

const volume = (size: string) =>
  z.strictObject({
    size: quantity().default(size).meta({ description: 'Size of each instance’s volume; it can grow, not shrink.' }),
    storageClass: objectName().optional().meta({ description: 'Default: the cluster’s default StorageClass.' }),
  })

const backup = z.strictObject({
  destinationPath: z
    .string()
    .max(512)
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/.*)?$/)
    .meta({ description: 's3://bucket/path/ for base backups and the write-ahead log.' }),
  endpoint: endpointUrl().optional().meta({ description: 'Of an S3-compatible service other than AWS.' }),
  credentialsSecretRef: secretRef().meta({ description: 'Secret with the keys accessKey and secretKey.' }),
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
    imageName: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .meta({ description: 'Postgres image; default: CloudNativePG’s own, and never changed behind its back.' }),
    parameters: stringMap(200)
      .optional()
      .meta({ description: 'postgresql.conf settings, e.g. shared_buffers: 512MB.' }),
    resources: resources().optional().meta({ description: 'Requests and limits of each instance.' }),
    synchronousReplicas: z
      .int()
      .min(0)
      .max(8)
      .default(0)
      .meta({ description: 'A commit waits for so many standbys; 0 is asynchronous replication.' }),
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
    readyTimeout: duration()
      .default('20m')
      .meta({ description: 'After so long without a healthy database the MailServer is Stalled and says why.' }),
  })
  .meta(
    cel({
      rule: 'self.instances > self.synchronousReplicas',
      message: 'synchronousReplicas must be below instances: the primary is none',
    }),
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
  .default({ cnpg: { instances: 3, storage: { size: '20Gi' }, synchronousReplicas: 0, readyTimeout: '20m' } })
  .meta({ description: 'Where accounts, mailboxes, the message index and the queue are kept.' })
