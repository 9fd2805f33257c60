/** Looks: everything about one MailServer that a reconcile decides by, from caches, and from foreign Secrets by name. */

import type { MailServer } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { isEndpoint } from '../api/networks.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject, ObjectKey, Resource } from '../kube/types.ts'
import { mailAddresses, webAddresses } from './addresses.ts'
import type { Caches } from './caches.ts'
import { type CertificateGroup, certificateGroups } from './desired/certificate-groups.ts'
import { configName, databaseCredentialsName, databaseName, tlsSecretName } from './desired/names.ts'
import type { GatewayView } from './gateways.ts'
import { type HeldMail, heldMail, lostCluster } from './held-mail.ts'
import { idFor, idOf, OPTIONAL_KINDS, type OptionalKind, wantedKinds } from './kinds.ts'

/** A Secret that the spec names: its decoded text by key, or why it cannot be used. */
export type SecretView = { name: string; found: false } | { name: string; found: true; text: Record<string, string> }

export interface Observed {
  key: ObjectKey
  /** Objects with the server's label by id. */
  children: Map<string, KubeObject>
  /** Kinds of others that the API serves. */
  served: Partial<Record<OptionalKind, Resource>>
  /** What has held the mail so far. */
  held: HeldMail
  /** uid of the Cluster that held it and is gone. */
  lostCluster?: string | undefined
  /** Foreign Secrets, only those that the spec names. */
  secrets: {
    database?: SecretView
    databaseCa?: SecretView
    s3?: SecretView
    s3Ca?: SecretView
    /** With a chain that the operator did not sign: the server's own. */
    tls?: SecretView
    /** Of the further certificates, in their order. */
    furtherTls?: SecretView[]
    relay?: SecretView
  }
  /** The Gateway that the spec names. */
  gateway?: GatewayView | undefined
  /** Which names stand in which certificate, as far as they are issued. */
  certificates: readonly [CertificateGroup, ...CertificateGroup[]]
  /** Where the host name leads (addresses.ts). */
  addresses: string[]
  /** Where the names lead that are asked by HTTP; none where that is the host name. */
  webAddresses: string[]
}

export interface ObserveDeps {
  client: Pick<KubeClient, 'find'>
  caches: Pick<Caches, 'childrenOf' | 'optional' | 'known' | 'gateways'>
}

/**
 * One that lost its label is not in the cache, and must not pass for one that is gone; nor must one that the cache has not
 * heard of yet.
 */
async function findCluster(
  { namespace, name }: ObjectKey,
  resource: Resource,
  children: Map<string, KubeObject>,
  { client }: Pick<ObserveDeps, 'client'>,
): Promise<void> {
  const cluster = await client.find(resource, { namespace, name: databaseName(name) })
  if (cluster) children.set(idOf(cluster), cluster)
}

/** @throws KubeError */
export async function observe(server: MailServer, spec: MailServerSpec, deps: ObserveDeps): Promise<Observed> {
  const key = { namespace: server.metadata.namespace ?? '', name: server.metadata.name }
  const served = await servedKinds(spec, key.namespace, deps)
  const children = deps.caches.childrenOf(key)
  const held = heldMail(server)
  if (lostCluster(spec, held, { key, served, children }) && served.Cluster) {
    await findCluster(key, served.Cluster, children, deps)
  }
  const lost = lostCluster(spec, held, { key, served, children })
  const look = (name: string) => secretView(key.namespace, name, children, deps.client)
  const secrets: Observed['secrets'] = {}
  if (spec.database.secretRef) secrets.database = await look(spec.database.secretRef.name)
  else if (served.Cluster && lost === undefined) {
    secrets.database = await look(`${databaseName(key.name)}-app`)
    if (secrets.database.found) secrets.databaseCa = caInUse(key.name, children) ?? (await look(caName(key.name)))
  }
  if (spec.storage.s3) secrets.s3 = await look(spec.storage.s3.credentialsSecretRef.name)
  if (spec.storage.s3?.caSecretRef) secrets.s3Ca = await look(spec.storage.s3.caSecretRef.name)
  const certificates = certificateGroups(key.name, spec, children)
  const [, ...further] = certificates
  if (spec.tls.secretName) secrets.tls = await look(spec.tls.secretName)
  else if (spec.tls.issuerRef) secrets.tls = await look(tlsSecretName(key.name))
  if (further.length > 0) {
    secrets.furtherTls = await Promise.all(further.map(({ number }) => look(tlsSecretName(key.name, number))))
  }
  const relay = spec.outbound.relay?.credentialsSecretRef
  if (relay) secrets.relay = await look(relay.name)
  const gateway = await gatewayView(key, spec, deps)
  const entrances = { key, children, gateway, told: server.status }
  return {
    key,
    children,
    served,
    held,
    lostCluster: lost,
    secrets,
    gateway,
    certificates,
    addresses: mailAddresses(spec, entrances),
    webAddresses: webAddresses(spec, entrances),
  }
}

async function gatewayView(
  key: ObjectKey,
  { gateway }: MailServerSpec,
  { caches }: ObserveDeps,
): Promise<GatewayView | undefined> {
  if (gateway) return caches.gateways.look(key, { namespace: gateway.namespace ?? key.namespace, name: gateway.name })
  caches.gateways.forget(key)
  return undefined
}

async function servedKinds(
  spec: MailServerSpec,
  namespace: string,
  { caches }: ObserveDeps,
): Promise<Observed['served']> {
  const served: Observed['served'] = {}
  const wanted = wantedKinds(spec)
  for (const kind of OPTIONAL_KINDS) {
    // Those that are not asked for too, where they are known: what was made while they were has to be pruned.
    const resource = wanted.has(kind) ? await caches.optional(kind, namespace) : caches.known(kind)
    if (resource) served[kind] = resource
  }
  return served
}

const caName = (name: string) => `${databaseName(name)}-ca`

/**
 * The Secret with a Cluster's CA has no label of ours, so each look is a request. Once the engine's URL names its file
 * it has been seen, and only that it is there matters: Pods mount it by name.
 */
function caInUse(name: string, children: ReadonlyMap<string, KubeObject>): SecretView | undefined {
  const used = children.get(idFor(Secret, databaseCredentialsName(name)))
  const { url } = used ? secretText(used) : {}
  return url?.includes('sslrootcert=') ? { name: caName(name), found: true, text: { 'ca.crt': 'in use' } } : undefined
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

/** The storage endpoint where the spec leaves it to the Secret; what is configured where that cannot be seen or used. */
export function s3Endpoint(spec: MailServerSpec, observed: Observed): string | undefined {
  const { s3 } = spec.storage
  if (!s3) return undefined
  const { s3: secret } = observed.secrets
  const told = s3.endpoint ?? (secret?.found ? secret.text.endpoint?.trim() : undefined)
  if (told && isEndpoint(told)) return told
  const config = observed.children.get(idFor({ kind: 'ConfigMap' }, configName(observed.key.name)))?.data?.[
    'config.json'
  ]
  if (!config) return undefined
  const storage = (JSON.parse(config) as { storage?: { endpoint?: string } }).storage
  return storage?.endpoint
}
