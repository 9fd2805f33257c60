/**
 * How the engine reaches its database: the URL in `<name>-db-credentials`, made of what CloudNativePG or the user says.
 * Pure. A change of it rolls the engines.
 */

import querystring from 'node:querystring'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { EndpointSlice, Secret } from '../kube/resources.ts'
import type { ObjectKey } from '../kube/types.ts'
import { databaseCredentialsName, databaseName, poolerName } from './desired/names.ts'
import { poolerHosts } from './desired/pooler.ts'
import { idFor } from './kinds.ts'
import { type Observed, secretText } from './observe.ts'

const VERIFIED = 'sslmode=verify-full&sslrootcert=/etc/mail/db-ca/ca.crt'

/**
 * The engine's database URL; what was used last where its source cannot be seen now, so that a Secret that is away for
 * a moment rolls nothing.
 */
export function databaseUrl(spec: MailServerSpec, observed: Observed): string | undefined {
  const { database, databaseCa } = observed.secrets
  const text = database?.found ? database.text[spec.database.secretRef?.key ?? 'uri'] : undefined
  if (!text) return lastDatabaseUrl(observed)
  if (spec.database.secretRef) return text.trim()
  const uri = withPassword(text.trim(), database?.found ? database.text.password : undefined)
  const use = poolerUse(spec, observed)
  // Only the first Pods wait for PgBouncer; a running engine goes on as it is until there is one.
  if (use === 'waiting') return undefined
  const url = use === 'through' ? throughPooler(uri, observed.key) : uri
  if (!databaseCa?.found || !databaseCa.text['ca.crt']) {
    // An engine that was told whom to trust is never told to trust anybody, nor is the first one of a real Cluster.
    const last = lastDatabaseUrl(observed)
    if (last?.includes(VERIFIED)) return last
    return hasAuthority(observed) ? undefined : url
  }
  const separator = url.includes('?') ? '&' : '?'
  return `${url}${separator}${VERIFIED}`
}

/** CloudNativePG names the Secret of the CA that its certificates come from; where nobody does, there is no TLS. */
function hasAuthority(observed: Pick<Observed, 'key' | 'children'>): boolean {
  return clusterCertificates(observed).serverCASecret !== undefined
}

function clusterCertificates({ key, children }: Pick<Observed, 'key' | 'children'>): {
  serverCASecret?: string
  serverAltDNSNames?: string[]
} {
  const cluster = children.get(idFor({ kind: 'Cluster' }, databaseName(key.name)))
  return (cluster?.status as { certificates?: object } | undefined)?.certificates ?? {}
}

/**
 * CloudNativePG gives its role the password of key `password` and never writes the Secret's other keys again, so whoever
 * rotates it may have changed that key alone. A URI that has it already stays as it is, to the letter: it is hashed.
 */
function withPassword(uri: string, password: string | undefined): string {
  if (!password || !URL.canParse(uri)) return uri
  const url = new URL(uri)
  if (url.password === password || querystring.unescape(url.password) === password) return uri
  url.password = encodeURIComponent(password)
  return url.href
}

function lastDatabaseUrl({ key, children }: Pick<Observed, 'key' | 'children'>): string | undefined {
  const used = children.get(idFor(Secret, databaseCredentialsName(key.name)))
  return used ? secretText(used).url : undefined
}

export type PoolerUse = 'none' | 'waiting' | 'direct' | 'through'

/**
 * How the engine reaches its database where a Pooler is asked for. Once through it, always through it: a PgBouncer that is
 * away for a moment must not roll the engine, there and back. It is the spec that takes it out again.
 */
export function poolerUse(spec: MailServerSpec, observed: Observed): PoolerUse {
  const { key, served } = observed
  if (!spec.database.cnpg?.pooler) return 'none'
  const last = lastDatabaseUrl(observed)
  if (leadsToPooler(last, key)) return 'through'
  if (!served.Pooler) return 'direct'
  if (readyPoolers(observed) > 0 && poolerIsNamed(observed)) return 'through'
  return last === undefined ? 'waiting' : 'direct'
}

export function leadsToPooler(url: string | undefined, key: ObjectKey): boolean {
  return url !== undefined && URL.parse(url)?.hostname === poolerHost(key)
}

/** CloudNativePG has the Pooler's name in the certificate that PgBouncer shows. */
export function poolerIsNamed(observed: Pick<Observed, 'key' | 'children'>): boolean {
  return clusterCertificates(observed).serverAltDNSNames?.includes(poolerHost(observed.key)) ?? false
}

/** Instances of PgBouncer that take connections. The Pooler's own status counts Pods, ready or not. */
export function readyPoolers({ key, children }: Pick<Observed, 'key' | 'children'>): number {
  interface Endpoint {
    addresses?: string[]
    conditions?: { ready?: boolean | null }
    targetRef?: { name?: string }
  }
  const pods = [...children.values()]
    .filter(({ kind }) => kind === EndpointSlice.kind)
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === poolerName(key.name))
    .flatMap((slice) => (slice as { endpoints?: Endpoint[] | null }).endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .map(({ targetRef, addresses }) => targetRef?.name ?? addresses?.[0])
  // A Pod is in a slice per address family, and for a moment in two when slices are split.
  return new Set(pods).size
}

function poolerHost({ namespace, name }: ObjectKey): string {
  return poolerHosts({ namespace, name })[1] ?? ''
}

function throughPooler(text: string, key: ObjectKey): string {
  const url = new URL(text)
  url.hostname = poolerHost(key)
  url.port = '5432'
  return url.href
}
