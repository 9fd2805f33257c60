/** MailServer.status: what is, as far as the operator can tell. Written only when something in it changed. */

import { z } from 'zod'
import { conditions, listAtomic } from './fields.ts'

const text = (max = 1024) => z.string().max(max)

const dnsRecord = z.strictObject({
  type: text(16).meta({ description: 'MX, TXT, SRV, CNAME, A, AAAA, CAA, PTR.' }),
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
    addresses: z.array(text(253)).max(32).optional().meta(listAtomic),
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
      })
      .optional(),
    storage: z.strictObject({ kind: z.enum(['S3', 'Postgres']), bucket: text(63).optional() }).optional(),
    certificate: z
      .strictObject({
        secretName: text(253),
        notAfter: z.string().meta({ format: 'date-time' }).optional(),
        issuer: text().optional(),
      })
      .optional(),
    dkim: z
      .strictObject({
        rotationRequest: text()
          .optional()
          .meta({ description: 'Annotation mail.openova.io/rotate-dkim that was acted on.' }),
        keys: z.array(dkimKey).max(2000).optional().meta(listAtomic),
      })
      .optional(),
    dns: z
      .strictObject({
        summary: text(64).optional().meta({ description: '"7/12": published and wanted records.' }),
        records: z.array(dnsRecord).max(4000).optional().meta(listAtomic),
      })
      .optional(),
  })
  .meta({ description: 'What is, as far as the operator can tell.' })

export type MailServerStatus = z.output<typeof mailServerStatus>
export type DnsRecordStatus = z.output<typeof dnsRecord>
export type DkimKeyStatus = z.output<typeof dkimKey>
