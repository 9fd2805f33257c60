/** spec.storage: where message bytes are kept. */

import { z } from 'zod'
import { cel, endpointUrl, objectName, secretKey, secretRef } from './fields.ts'

const s3 = z
  .strictObject({
    endpoint: endpointUrl().optional().meta({
      description:
        'http(s)://host[:port] of any S3-compatible service. Default: key `endpoint` of the credentials Secret.',
    }),
    region: z.string().min(1).max(64).default('us-east-1').meta({ description: 'Region to sign requests for.' }),
    bucket: z
      .string()
      .min(3)
      .max(63)
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)
      .meta({ description: 'Made when it is missing; adopted when it is empty or marked as this MailServer’s.' }),
    prefix: z
      .string()
      .max(128)
      .regex(/^([A-Za-z0-9._-]+\/)*$/)
      .default('')
      .meta({ description: 'Keys begin with this ("mail/"), so that several servers may share a bucket.' }),
    pathStyle: z.boolean().default(true).meta({ description: 'https://host/bucket rather than https://bucket.host.' }),
    credentialsSecretRef: secretRef().meta({
      description: 'Secret with the keys accessKey and secretKey, and optionally endpoint.',
    }),
    caSecretRef: z
      .strictObject({ name: objectName(), key: secretKey().default('ca.crt') })
      .optional()
      .meta({ description: 'PEM bundle of a private certificate authority of the endpoint.' }),
    inlineMaxBytes: z.int().min(0).max(8_388_608).default(131_072).meta({
      description: 'Messages up to this size stay in Postgres, inside the delivery’s own transaction.',
    }),
    versioning: z.boolean().default(false).meta({ description: 'Turn on the bucket’s versioning.' }),
    encryption: z
      .enum(['None', 'AES256'])
      .default('None')
      .meta({ description: 'Default encryption that the bucket is configured with.' }),
  })
  .meta(
    cel(
      // Message bytes would be left behind where they are.
      { rule: 'self.bucket == oldSelf.bucket', message: 'bucket is immutable' },
      { rule: 'self.prefix == oldSelf.prefix', message: 'prefix is immutable' },
    ),
  )

export const storage = z
  .strictObject({
    s3: s3.optional().meta({ description: 'A bucket. Without it, message bytes are kept in Postgres.' }),
  })
  .meta(
    cel({ rule: 'has(self.s3) == has(oldSelf.s3)', message: 's3 can be neither added nor removed: mail is not moved' }),
  )
  .prefault({})
  .meta({ description: 'Where message bytes are kept.' })
