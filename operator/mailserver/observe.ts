/** Looks: everything about one MailServer that a reconcile decides by, from caches, and from foreign Secrets by name. */

import type { MailServer } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { Ingress, Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject, ObjectKey, Resource } from '../kube/types.ts'
import type { Caches } from './caches.ts'
import {
  configName,
  databaseCredentialsName,
  databaseName,
  httpServiceName,
  mailServiceName,
  tlsSecretName,
} from './desired/names.ts'
import { idFor, OPTIONAL_KINDS, type OptionalKind, wantedKinds } from './kinds.ts'

/** A Secret that the spec names: its decoded text by key, or why it cannot be used. */
export type SecretView = { name: string; found: false } | { name: string; found: true; text: Record<string, string> }

export interface Observed {
  key: ObjectKey
  /** Objects with the server's label by id. */
  children: Map<string, KubeObject>
  /** Kinds of others that the API serves. */
  served: Partial<Record<OptionalKind, Resource>>
  /** Foreign Secrets, only those that the spec names. */
  secrets: {
    database?: SecretView
    databaseCa?: SecretView
    s3?: SecretView
    s3Ca?: SecretView
    tls?: SecretView
    relay?: SecretView
  }
  addresses: string[]
}

export interface ObserveDeps {
  client: Pick<KubeClient, 'find'>
  caches: Pick<Caches, 'childrenOf' | 'optional' | 'known'>
}

/** @throws KubeError */
export async function observe(server: MailServer, spec: MailServerSpec, deps: ObserveDeps): Promise<Observed> {
  const key = { namespace: server.metadata.namespace ?? '', name: server.metadata.name }
  const served = await servedKinds(spec, deps)
  const children = deps.caches.childrenOf(key)
  const look = (name: string) => secretView(key.namespace, name, children, deps.client)
  const secrets: Observed['secrets'] = {}
  if (spec.database.secretRef) secrets.database = await look(spec.database.secretRef.name)
  else if (served.Cluster) {
    secrets.database = await look(`${databaseName(key.name)}-app`)
    if (secrets.database.found) secrets.databaseCa = await look(`${databaseName(key.name)}-ca`)
  }
  if (spec.storage.s3) secrets.s3 = await look(spec.storage.s3.credentialsSecretRef.name)
  if (spec.storage.s3?.caSecretRef) secrets.s3Ca = await look(spec.storage.s3.caSecretRef.name)
  if (spec.tls.secretName) secrets.tls = await look(spec.tls.secretName)
  else if (spec.tls.issuerRef) secrets.tls = await look(tlsSecretName(key.name))
  const relay = spec.outbound.relay?.credentialsSecretRef
  if (relay) secrets.relay = await look(relay.name)
  return {
    key,
    children,
    served,
    secrets,
    addresses: addressesOf(children.get(idFor({ kind: 'Service' }, mailServiceName(key.name)))),
  }
}

async function servedKinds(spec: MailServerSpec, { caches }: ObserveDeps): Promise<Observed['served']> {
  const served: Observed['served'] = {}
  const wanted = wantedKinds(spec)
  for (const kind of OPTIONAL_KINDS) {
    // Those that are not asked for too, where they are known: what was made while they were has to be pruned.
    const resource = wanted.has(kind) ? await caches.optional(kind) : caches.known(kind)
    if (resource) served[kind] = resource
  }
  return served
}

/** From the cache where the Secret has our label, else by a GET: foreign Secrets are never kept. */
async function secretView(
  namespace: string,
  name: string,
  children: ReadonlyMap<string, KubeObject>,
  client: Pick<KubeClient, 'find'>,
): Promise<SecretView> {
  const secret = children.get(idFor(Secret, name)) ?? (await client.find(Secret, { namespace, name }))
  return secret ? { name, found: true, text: secretText(secret) } : { name, found: false }
}

/** data of a Secret, decoded. */
export function secretText(secret: KubeObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  )
}

/** Where the Ingress answers; none without one, and until its controller has told. */
export function webAddresses({ key, children }: Pick<Observed, 'key' | 'children'>): string[] {
  return addressesOf(children.get(idFor(Ingress, httpServiceName(key.name))))
}

/** @param entry a Service or an Ingress */
function addressesOf(entry: KubeObject | undefined): string[] {
  const status = entry?.status as { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } } | undefined
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []).sort()
}

/**
 * The engine's database URL; what was used last where its source cannot be seen now, so that a Secret that is away for
 * a moment rolls nothing.
 */
export function databaseUrl(spec: MailServerSpec, observed: Observed): string | undefined {
  const { database, databaseCa } = observed.secrets
  const used = observed.children.get(idFor(Secret, databaseCredentialsName(observed.key.name)))
  const last = used ? secretText(used).url : undefined
  const text = database?.found ? database.text[spec.database.secretRef?.key ?? 'uri'] : undefined
  if (!text) return last
  if (spec.database.secretRef || !databaseCa?.found || !databaseCa.text['ca.crt']) return text.trim()
  const separator = text.includes('?') ? '&' : '?'
  return `${text.trim()}${separator}sslmode=verify-full&sslrootcert=/etc/mail/db-ca/ca.crt`
}

/** The storage endpoint where the spec leaves it to the Secret; what is configured where that cannot be seen now. */
export function s3Endpoint(spec: MailServerSpec, observed: Observed): string | undefined {
  const { s3 } = spec.storage
  if (!s3) return undefined
  const { s3: secret } = observed.secrets
  const told = s3.endpoint ?? (secret?.found ? secret.text.endpoint?.trim() : undefined)
  if (told) return told
  const config = observed.children.get(idFor({ kind: 'ConfigMap' }, configName(observed.key.name)))?.data?.[
    'config.json'
  ]
  if (!config) return undefined
  const storage = (JSON.parse(config) as { storage?: { endpoint?: string } }).storage
  return storage?.endpoint
}
