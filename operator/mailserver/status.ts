/** MailServer.status from what was observed. Pure. */

import type { MailServer } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import {
  type DkimKeyStatus,
  type DnsRecordStatus,
  type MailServerStatus,
  STATUS_LIMITS,
} from '../api/mail-server-status.ts'
import { isCondition } from '../kube/conditions.ts'
import type { Condition } from '../kube/types.ts'
import { certificateFacts } from './dependencies/certificate.ts'
import { databaseFacts } from './dependencies/database.ts'
import { dkimKeyStatus } from './dependencies/dkim.ts'
import { rolloutOf } from './dependencies/engine.ts'
import { storageFacts } from './dependencies/storage.ts'
import { selectorLabels } from './desired/names.ts'
import { dnsStatus } from './dns-status.ts'
import { idFor } from './kinds.ts'
import type { Material } from './material.ts'
import type { Observed } from './observe.ts'

export interface StatusInput {
  server: MailServer
  /** Of the spec that this is about. */
  generation: number
  spec: MailServerSpec
  observed: Observed
  material: Pick<Material, 'certificate' | 'dkimKeys'>
  records: readonly DnsRecordStatus[]
  image: string
  conditions: Condition[]
  now: Date
  /** Its engines were told of an account. */
  hasAccount: boolean
  /** Annotation rotate-dkim as it was acted on. */
  rotationRequest: string | undefined
}

export function statusOf(input: StatusInput): MailServerStatus {
  const { server, generation, spec, observed, material, records, image, conditions, rotationRequest, now, hasAccount } =
    input
  const deployment = observed.children.get(idFor({ kind: 'Deployment' }, server.metadata.name))
  const rollout = deployment ? rolloutOf(deployment) : undefined
  const { hostname } = spec
  // Without an account there is nobody's mail, and nothing that could be lost.
  const inUse = (type: string) => hasAccount && (rollout?.available ?? 0) > 0 && isCondition(conditions, type, 'True')
  return {
    observedGeneration: generation,
    conditions,
    replicas: rollout?.total ?? 0,
    readyReplicas: rollout?.ready ?? 0,
    selector: Object.entries(selectorLabels(server.metadata.name))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    image,
    version: versionOf(image),
    addresses: observed.addresses.slice(0, STATUS_LIMITS.addresses),
    ...(observed.webAddresses.length > 0
      ? { webAddresses: observed.webAddresses.slice(0, STATUS_LIMITS.addresses) }
      : {}),
    endpoints: {
      smtp: `${hostname}:25`,
      submissions: `${hostname}:465`,
      submission: `${hostname}:587`,
      imaps: `${hostname}:993`,
      jmap: `https://${hostname}/.well-known/jmap`,
    },
    database: databaseFacts(spec, observed, inUse('DatabaseReady')),
    storage: storageFacts(spec, observed, { inUse: inUse('StorageReady'), now }),
    certificate: certificateFacts(spec, observed, material.certificate),
    dkim: {
      ...(rotationRequest === undefined ? {} : { rotationRequest }),
      ...listedKeys(material.dkimKeys.map((key) => dkimKeyStatus(key, spec, records))),
    },
    dns: dnsStatus(records, spec.dns.ttlSeconds),
  }
}

/** A retiring key needs nothing any more, so those are missed least. In the same order. */
function listedKeys(keys: readonly DkimKeyStatus[]): { keys: DkimKeyStatus[]; omitted?: number } {
  const omitted = keys.length - STATUS_LIMITS.dkimKeys
  if (omitted <= 0) return { keys: [...keys] }
  const last = (key: DkimKeyStatus) => (key.state === 'Retiring' ? 1 : 0)
  const listed = new Set(keys.toSorted((a, b) => last(a) - last(b)).slice(0, STATUS_LIMITS.dkimKeys))
  return { keys: keys.filter((key) => listed.has(key)), omitted }
}

/** The tag of an image reference; part of the digest where there is none. */
function versionOf(image: string): string {
  const [name = '', digest] = image.split('@')
  const tag = /:([\w.-]+)$/.exec(name)?.[1]
  return tag ?? (digest ? digest.slice(0, 19) : 'latest')
}
