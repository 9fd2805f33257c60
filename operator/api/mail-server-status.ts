/** MailServer.status: what is, as far as the operator can tell. Written only when something in it changed. */

import { z } from 'zod'
import { conditions, listAtomic } from './fields.ts'

/** What the lists and texts of the status hold at most; who writes it cuts, for a refused status tells nothing at all. */
export const STATUS_LIMITS = { addresses: 256, dkimKeys: 1000, rotationRequest: 1024 }

const text = (max = 1024) => z.string().max(max)

const dnsRecord = z.strictObject({
  type: text(16).meta({ description: 'MX, TXT, SRV, CNAME, A, AAAA, ALIAS, PTR, CAA, TLSA.' }),
  name: text(320).meta({ description: 'Fully qualified, without the trailing dot.' }),
  value: text(4096).meta({ description: 'As in a zone file; the strings of a TXT record joined.' }),
  domain: text(253),
  state: z.enum(['Published', 'Missing', 'Mismatch', 'Unknown']),
  found: text(4096).optional().meta({ description: 'What the resolvers answered instead.' }),
})

const dkimKey = z.strictObject({
  domain: text(253),
  selector: text(63),
  algorithm: z.enum(['rsa2048', 'ed25519']),
  secretName: text(253),
  state: z.enum(['Publishing', 'Active', 'Retiring']).meta({
    description:
      'Publishing: in DNS, not signing yet. Active: mail is signed with it. Retiring: stays in DNS for a week.',
  }),
  since: z.string().meta({ format: 'date-time' }).optional(),
  waitsFor: text().optional().meta({ description: 'What the next step of a rotation waits for.' }),
})

export const mailServerStatus = z
  .strictObject({
    observedGeneration: z.int().min(-1).optional().meta({ description: 'Generation of the spec this is about.' }),
    conditions: conditions().optional(),
    replicas: z.int().min(0).optional(),
    readyReplicas: z.int().min(0).optional(),
    selector: text(4096).optional().meta({ description: 'Label selector of the Pods, for the scale subresource.' }),
    image: text(512).optional().meta({ description: 'Engine image in use; pinned until spec.image says otherwise.' }),
    version: text(128).optional().meta({ description: 'Tag of the image.' }),
    addresses: z
      .array(text(253))
      .max(STATUS_LIMITS.addresses)
      .optional()
      .meta({
        ...listAtomic,
        description: 'Where spec.hostname leads: of the load balancer, or of spec.gateway with mail.',
      }),
    webAddresses: z
      .array(text(253))
      .max(STATUS_LIMITS.addresses)
      .optional()
      .meta({
        ...listAtomic,
        description:
          'Where the names lead that are asked by HTTP: of the Ingress or Gateway. Absent: where spec.hostname does.',
      }),
    endpoints: z
      .strictObject({
        smtp: text().optional(),
        submissions: text().optional(),
        submission: text().optional(),
        imaps: text().optional(),
        jmap: text().optional(),
      })
      .optional()
      .meta({ description: 'What to tell mail clients.' }),
    database: z
      .strictObject({
        kind: z.enum(['CloudNativePG', 'External']),
        name: text(253),
        instances: z.int().optional(),
        readyInstances: z.int().optional(),
        primary: text(253).optional(),
        clusterUid: text(64).optional().meta({
          description:
            'Of the Cluster that holds the mail. One that is gone is not replaced by an empty one by itself.',
        }),
        recovery: text(64).optional().meta({
          description: 'The recovery that this Cluster was made by. None is done twice by itself.',
        }),
        lastBackup: z.string().meta({ format: 'date-time' }).optional().meta({
          description: 'When the last base backup succeeded.',
        }),
        recoveryPointFirst: z.string().meta({ format: 'date-time' }).optional().meta({
          description: 'The earliest moment that can be restored.',
        }),
      })
      .optional(),
    storage: z
      .strictObject({
        kind: z.enum(['S3', 'Postgres']),
        bucket: text(63).optional(),
        since: z.string().meta({ format: 'date-time' }).optional().meta({
          description:
            'Since when mail is kept in a bucket. One that is gone is not replaced by an empty one by itself.',
        }),
      })
      .optional(),
    certificate: z
      .strictObject({
        secretName: text(253),
        notAfter: z.string().meta({ format: 'date-time' }).optional(),
        issuer: text().optional(),
        further: z
          .array(
            z.strictObject({
              secretName: text(253),
              notAfter: z
                .string()
                .meta({ format: 'date-time' })
                .optional()
                .meta({ description: 'Absent: not issued yet.' }),
            }),
          )
          .max(32)
          .optional()
          .meta({ ...listAtomic, description: 'For names of domains that the first has no room for.' }),
      })
      .optional(),
    dkim: z
      .strictObject({
        rotationRequest: text(STATUS_LIMITS.rotationRequest)
          .optional()
          .meta({ description: 'Annotation mail.openova.io/rotate-dkim that was acted on.' }),
        keys: z.array(dkimKey).max(STATUS_LIMITS.dkimKeys).optional().meta(listAtomic),
        omitted: z.int().optional().meta({
          description: 'Keys that are left out of the list, which would be too long: retiring ones first.',
        }),
      })
      .optional(),
    dns: z
      .strictObject({
        summary: text(64).optional().meta({ description: '"7/12": published and wanted records.' }),
        records: z.array(dnsRecord).max(8000).optional().meta(listAtomic),
        omitted: z.int().optional().meta({
          description: 'Records that are left out of the list, which would be too large: published ones first.',
        }),
        zone: text(65_536).optional().meta({
          description:
            'The wanted records as a zone file to paste. Above 64 KiB there is none: kubectl mail dns --zone makes it.',
        }),
      })
      .optional(),
  })
  .meta({ description: 'What is, as far as the operator can tell.' })

export type MailServerStatus = z.output<typeof mailServerStatus>
export type DnsRecordStatus = z.output<typeof dnsRecord>
export type DkimKeyStatus = z.output<typeof dkimKey>
