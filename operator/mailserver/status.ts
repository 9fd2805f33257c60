/** MailServer.status from what was observed. Pure. */

import { ROTATE_DKIM } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import type { DnsRecordStatus, MailServerStatus } from '../api/mail-server-status.ts'
import type { Condition } from '../kube/types.ts'
import { certificateFacts } from './dependencies/certificate.ts'
import { databaseFacts } from './dependencies/database.ts'
import { dnsSummary } from './dependencies/dns.ts'
import { rolloutOf } from './dependencies/engine.ts'
import { selectorLabels } from './desired/names.ts'
import { idFor } from './kinds.ts'
import type { Material } from './material.ts'
import type { Observed } from './observe.ts'

export interface StatusInput {
  server: MailServer
  spec: MailServerSpec
  observed: Observed
  material: Pick<Material, 'certificate' | 'dkimKeys'>
  records: readonly DnsRecordStatus[]
  image: string
  conditions: Condition[]
}

export function statusOf(input: StatusInput): MailServerStatus {
  const { server, spec, observed, material, records, image, conditions } = input
  const deployment = observed.children.get(idFor({ kind: 'Deployment' }, server.metadata.name))
  const rollout = deployment ? rolloutOf(deployment) : undefined
  const { hostname } = spec
  const rotationRequest = server.metadata.annotations?.[ROTATE_DKIM]
  return {
    observedGeneration: server.metadata.generation ?? 0,
    conditions,
    replicas: rollout?.total ?? 0,
    readyReplicas: rollout?.ready ?? 0,
    selector: Object.entries(selectorLabels(server.metadata.name))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    image,
    version: versionOf(image),
    addresses: observed.addresses,
    endpoints: {
      smtp: `${hostname}:25`,
      submissions: `${hostname}:465`,
      submission: `${hostname}:587`,
      imaps: `${hostname}:993`,
      jmap: `https://${hostname}/.well-known/jmap`,
    },
    database: databaseFacts(spec, observed),
    storage: spec.storage.s3 ? { kind: 'S3', bucket: spec.storage.s3.bucket } : { kind: 'Postgres' },
    certificate: certificateFacts(spec, observed, material.certificate),
    dkim: {
      ...(rotationRequest === undefined ? {} : { rotationRequest }),
      keys: material.dkimKeys.map(({ domain, selector, algorithm, secretName, state, since }) => ({
        domain,
        selector,
        algorithm,
        secretName,
        state,
        since,
      })),
    },
    dns: { summary: dnsSummary(records), records: [...records] },
  }
}

/** The tag of an image reference; part of the digest where there is none. */
function versionOf(image: string): string {
  const [name = '', digest] = image.split('@')
  const tag = /:([\w.-]+)$/.exec(name)?.[1]
  return tag ?? (digest ? digest.slice(0, 19) : 'latest')
}

/** Which image: the spec's, else what was pinned when the server was made, so that a new operator restarts nothing. */
export function imageOf(
  server: MailServer,
  spec: MailServerSpec,
  observed: Pick<Observed, 'children'>,
  fallback: string | undefined,
): string | undefined {
  const deployment = observed.children.get(idFor({ kind: 'Deployment' }, server.metadata.name))
  type Template = { template?: { spec?: { containers?: { name: string; image?: string }[] } } }
  const running = (deployment?.spec as Template | undefined)?.template?.spec?.containers?.find(
    ({ name }) => name === 'engine',
  )?.image
  return spec.image ?? server.status?.image ?? running ?? fallback
}
