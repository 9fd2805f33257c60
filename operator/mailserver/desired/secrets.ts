/**
 * The Secrets of a MailServer. What is generated (keys, tokens) is written once by material.ts; here such a Secret is
 * desired by its metadata only, so that server-side apply never overwrites a key from an old cache.
 */

import { createHash } from 'node:crypto'
import { DATABASE, SERVER_LABEL } from '../../api/group.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, type DkimKey, objectOf } from './context.ts'
import { adminSecretName, caSecretName, databaseCredentialsName, dkimFileName, tlsSecretName } from './names.ts'

type Named = Pick<DesiredContext, 'server'>
type NamedSpec = Pick<DesiredContext, 'server' | 'spec'>

export const adminSecret = (context: Named): KubeObject =>
  objectOf(context, 'v1', 'Secret', adminSecretName(context.server.name), { type: 'Opaque' })

/** app.kubernetes.io/name of the operator's CA. */
export const AUTHORITY_COMPONENT = 'mail-authority'

/** The operator's CA for this server; kept when the MailServer goes, because clients have been told to trust it. */
export const authoritySecret = (context: NamedSpec): KubeObject =>
  objectOf(
    context,
    'v1',
    'Secret',
    caSecretName(context.server.name),
    { type: 'kubernetes.io/tls' },
    { component: AUTHORITY_COMPONENT, owned: false },
  )

/** The certificate that the operator issues; only without an issuer and without a Secret of the user's. */
export const tlsSecret = (context: Named): KubeObject =>
  objectOf(context, 'v1', 'Secret', tlsSecretName(context.server.name), { type: 'kubernetes.io/tls' })

/** app.kubernetes.io/name of the Secrets with DKIM keys. */
export const DKIM_COMPONENT = 'mail-dkim'
/** What a key Secret says of itself; an imported key needs the first two. */
export const dkimAnnotations = {
  domain: 'mail.openova.io/domain',
  selector: 'mail.openova.io/selector',
  algorithm: 'mail.openova.io/algorithm',
  state: 'mail.openova.io/dkim-state',
  since: 'mail.openova.io/dkim-since',
  /** Put on somebody else's by us. */
  imported: 'mail.openova.io/dkim-imported',
} as const

/** One key pair; kept when the MailServer goes, because its record may still be in DNS. */
export function dkimSecret(
  context: NamedSpec,
  key: Pick<DkimKey, 'domain' | 'selector' | 'algorithm' | 'state' | 'since' | 'secretName' | 'imported'>,
): KubeObject {
  const annotations = Object.fromEntries(
    (['domain', 'selector', 'algorithm', 'state', 'since'] as const).map((name) => [dkimAnnotations[name], key[name]]),
  )
  const { namespace, name: server } = context.server
  if (key.imported) {
    // Helm, Argo CD and others go by labels of theirs; who made it also removes it.
    const marked = { ...annotations, [dkimAnnotations.imported]: 'true' }
    const metadata = { name: key.secretName, namespace, labels: { [SERVER_LABEL]: server }, annotations: marked }
    return { apiVersion: 'v1', kind: 'Secret', metadata }
  }
  const options = { component: DKIM_COMPONENT, owned: false, annotations }
  return objectOf(context, 'v1', 'Secret', key.secretName, { type: 'Opaque' }, options)
}

/** A Secret holds 1 MiB; two keys in each of two algorithms for 200 domains are 730 KB. */
const DKIM_FILES_BYTES = 900_000

/**
 * The private keys as the engine's files, in one Secret: a new domain changes its content, not the Pods. Retiring keys
 * stay for engines that have not seen the new configuration yet, the latest first, as far as there is room.
 */
export function dkimFilesSecret(context: DesiredContext): KubeObject {
  const rank = ({ state, since }: DkimKey) => (state === 'Retiring' ? Date.parse(since) : Number.POSITIVE_INFINITY)
  const data: Record<string, string> = {}
  let bytes = 0
  for (const key of context.facts.dkimKeys.toSorted((a, b) => rank(b) - rank(a) || 0)) {
    bytes += key.privatePem.length
    if (key.state === 'Retiring' && bytes > DKIM_FILES_BYTES) break
    data[dkimFileName(key.domain, key.selector)] = encoded(key.privatePem)
  }
  return objectOf(context, 'v1', 'Secret', `${context.server.name}-dkim`, { type: 'Opaque', data })
}

/** `url` for STALWART_DATABASE_URL; none until the database's own Secret exists. */
export function databaseCredentials(context: DesiredContext): KubeObject | undefined {
  const { databaseUrl } = context.facts
  if (databaseUrl === undefined) return undefined
  return objectOf(
    context,
    'v1',
    'Secret',
    databaseCredentialsName(context.server.name),
    { type: 'Opaque', data: { url: encoded(databaseUrl) } },
    { component: 'mail-database', annotations: databaseAnnotation(context, databaseUrl) },
  )
}

/**
 * A Cluster that is made anew is another database, one that is lost still the same; of a URL it is host and name, so that a
 * new password changes nothing.
 */
function databaseAnnotation({ spec, facts }: DesiredContext, databaseUrl: string): Record<string, string> {
  if (!spec.database.secretRef) {
    const uid = facts.lostCluster ?? facts.cluster?.metadata.uid
    return uid ? { [DATABASE]: uid } : {}
  }
  const { host = '', pathname = '' } = URL.parse(databaseUrl) ?? {}
  return { [DATABASE]: createHash('sha256').update(`${host}${pathname}`).digest('hex').slice(0, 16) }
}

const encoded = (text: string) => Buffer.from(text).toString('base64')
