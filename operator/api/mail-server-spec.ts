/** MailServer.spec. Only hostname and domains are required; the rest has defaults that make a production-worthy server. */

import { z } from 'zod'
import { database } from './database.ts'
import { gateway, ingress } from './exposure.ts'
import {
  cel,
  domainName,
  duration,
  imageReference,
  listAtomic,
  listMap,
  listSet,
  mailAddress,
  metadataMap,
  objectName,
  reportUri,
  resources,
  secretRef,
  stringMap,
  tolerations,
} from './fields.ts'
import { dns, outbound, service, tls } from './network.ts'
import { autoscaling, monitoring } from './operations.ts'
import { spam } from './spam.ts'
import { storage } from './storage.ts'

/** More make a CRD's rules too dear, and objects that list names of each too large. */
export const MAX_DOMAINS = 200

const dmarc = z.strictObject({
  policy: z.enum(['none', 'quarantine', 'reject']).default('reject').meta({ description: 'RFC 7489 p=.' }),
  subdomainPolicy: z.enum(['none', 'quarantine', 'reject']).optional().meta({ description: 'RFC 7489 sp=.' }),
  rua: reportUri().optional().meta({ description: 'Receiver of aggregate reports: mailto:dmarc@example.org.' }),
  ruf: reportUri().optional().meta({ description: 'Receiver of failure reports.' }),
  pct: z.int().min(0).max(100).optional(),
  adkim: z.enum(['r', 's']).optional().meta({ description: 'DKIM alignment: relaxed or strict.' }),
  aspf: z.enum(['r', 's']).optional().meta({ description: 'SPF alignment: relaxed or strict.' }),
})

const domain = z.strictObject({
  name: domainName(),
  dmarc: dmarc.prefault({}).meta({ description: 'The domain’s DMARC record.' }),
  catchAll: mailAddress().optional().meta({ description: 'Mail to unknown local parts goes to this address of ours.' }),
})

/** Mail for unknown local parts stays here: to anywhere else it would be refused, which nobody would see but its senders. */
function catchAllsAreOurs(domains: readonly z.output<typeof domain>[], context: z.RefinementCtx): void {
  const ours = new Set(domains.map(({ name }) => name))
  domains.forEach(({ catchAll }, index) => {
    if (catchAll === undefined || ours.has(catchAll.slice(catchAll.indexOf('@') + 1))) return
    const message = 'must be an address at one of spec.domains'
    context.addIssue({ code: 'custom', path: [index, 'catchAll'], message })
  })
}

const dkim = z
  .strictObject({
    algorithms: z
      .array(z.enum(['rsa2048', 'ed25519']))
      .min(1)
      .max(2)
      .default(['rsa2048', 'ed25519'])
      .meta({
        ...listSet,
        // Many verifiers know RSA only (RFC 8463 §3): Ed25519 is a second signature, never the only one.
        ...cel({ rule: "self.exists(algorithm, algorithm == 'rsa2048')", message: 'rsa2048 must be among them' }),
        description: 'Mail is signed once with each. Selectors: default (RSA) and ed25519.',
      }),
    rotation: z
      .strictObject({ interval: duration('24h', '87600h').meta({ description: 'Age at which a key is replaced.' }) })
      .optional()
      .meta({ description: 'New keys sign once DNS shows them (spec.dns.verify); old ones stay in DNS for a week.' }),
  })
  .prefault({})
  .meta({ description: 'DKIM keys of the domains (RFC 6376).' })

const limits = z
  .strictObject({
    messageBytes: z.int().min(65_536).max(2_147_483_647).optional().meta({ description: 'Default 52428800.' }),
    recipientsPerMessage: z.int().min(100).max(100_000).optional().meta({ description: 'Default 1000.' }),
    sessionsPerProcess: z.int().min(1).max(1_000_000).optional(),
    sessionsPerAddress: z.int().min(1).max(1_000_000).optional(),
    authFailuresPerAddressPerHour: z.int().min(1).max(1_000_000).optional(),
    databaseConnections: z.int().min(2).max(1000).optional().meta({ description: 'Per process. Default 10.' }),
    jmapUploadBytes: z.int().min(65_536).max(2_147_483_647).optional(),
  })
  .prefault({})
  .meta({ description: 'Bounds of the engine; what is not given has the engine’s default.' })

const pod = z
  .strictObject({
    labels: metadataMap(32, 63).optional(),
    annotations: metadataMap(32, 4096).optional(),
    nodeSelector: stringMap(32, 63).optional(),
    tolerations: tolerations().optional(),
    priorityClassName: objectName().optional(),
  })
  .prefault({})
  .meta({ description: 'Scheduling of the engine’s Pods, and metadata on them.' })

export const mailServerSpec = z
  .strictObject({
    hostname: domainName().meta({ description: 'Public name of the server: EHLO, MX, certificate, client settings.' }),
    domains: z
      .array(domain)
      .min(1)
      .max(MAX_DOMAINS)
      .superRefine(catchAllsAreOurs)
      .meta({ ...listMap('name'), description: 'Domains whose mail is received here.' }),
    replicas: z
      .int()
      .min(0)
      .max(100)
      .default(2)
      .meta({ description: 'Engine Pods. They are equal and hold no state.' }),
    image: imageReference()
      .optional()
      .meta({ description: 'Engine image. Default: the operator’s own when the server was made; see status.image.' }),
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
    imagePullSecrets: z.array(secretRef()).max(8).optional().meta(listAtomic),
    resources: resources().optional().meta({ description: 'Requests and limits of the engine’s container.' }),
    workers: z.int().min(1).max(64).optional().meta({
      description: 'Processes per Pod. Default: one per core that the Pod may use, at most 4.',
    }),
    pod,
    database,
    storage,
    tls,
    dkim,
    dns,
    spam,
    outbound,
    service,
    ingress,
    gateway,
    autoscaling,
    monitoring,
    limits,
    networkPolicy: z
      .strictObject({ enabled: z.boolean().default(true) })
      .prefault({})
      .meta({ description: 'A NetworkPolicy that lets in the mail ports and HTTP only.' }),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
    deletionPolicy: z.enum(['Retain', 'Delete']).default('Retain').meta({
      description:
        'What becomes of database, bucket, DKIM keys and the operator’s own CA when the MailServer is deleted.',
    }),
  })
  .meta({
    ...cel({
      rule: '!has(self.dkim) || !has(self.dkim.rotation) || !has(self.dns) || self.dns.verify',
      message: 'dkim.rotation needs dns.verify: a new key may sign only once DNS is seen to show it',
    }),
    description: 'What the mail service should be.',
  })

/** As the API server stores it: defaults filled in. */
export type MailServerSpec = z.output<typeof mailServerSpec>
export type MailServerSpecInput = z.input<typeof mailServerSpec>
export type CnpgSpec = NonNullable<MailServerSpec['database']['cnpg']>
export type S3Spec = NonNullable<MailServerSpec['storage']['s3']>
export type DomainSpec = MailServerSpec['domains'][number]
export type DkimAlgorithm = MailServerSpec['dkim']['algorithms'][number]
