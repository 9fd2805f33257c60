/** What desired objects are made of: the spec and the facts that were observed. Everything in desired/ is pure. */

import { API_VERSION, MailServerResource } from '../../api/group.ts'
import type { DkimAlgorithm, MailServerSpec } from '../../api/mail-server-spec.ts'
import type { KeyState } from '../../dkim/rotation.ts'
import { apiVersionOf } from '../../kube/resources.ts'
import type { KubeObject, OwnerReference, Resource } from '../../kube/types.ts'
import type { OptionalKind } from '../kinds.ts'
import type { CertificateGroup } from './certificate-groups.ts'
import { labelsOf } from './names.ts'

/** A DKIM key that exists in a Secret. */
export interface DkimKey {
  domain: string
  selector: string
  algorithm: DkimAlgorithm
  state: KeyState
  /** When it came into this state, RFC 3339. */
  since: string
  secretName: string
  /** True when somebody else made the Secret: it stays theirs. */
  imported?: boolean
  privatePem: string
  /** Value of its DNS record. */
  txt: string
}

export interface Facts {
  /** Engine image: from the spec, else the one pinned when the server was made. */
  image: string
  /** Where the host name leads: IP addresses or host names. */
  addresses: readonly string[]
  /** Where the names lead that are asked by HTTP, when that is not the host name. */
  webAddresses?: readonly string[] | undefined
  dkimKeys: readonly DkimKey[]
  /** Which names stand in which certificate: of an issuer, else all in one. */
  certificates: readonly CertificateGroup[]
  /** The CloudNativePG Cluster as it is; undefined until it is made. */
  cluster?: KubeObject | undefined
  /** uid of the Cluster that held the mail and is gone: none is made in its place, and none is used. */
  lostCluster?: string | undefined
  /** There is a Pooler, wanted or not. */
  pooler?: boolean
  /** TLSA data of the keys that port 25 shows or may still show: "3 1 1 …". None unless asked for. */
  tlsa?: readonly string[] | undefined
  /** postgres:// URL for the engine; undefined until the database's Secret exists. */
  databaseUrl: string | undefined
  /** S3 endpoint; undefined until the credentials Secret says it, and without s3. */
  s3Endpoint: string | undefined
  /** Keys the hash of what needs a restart, so that an annotation tells nothing about a password. */
  restartSecret: string
  /** Kinds of others that the API serves; objects of the rest are not desired. */
  served: Partial<Record<OptionalKind, Resource>>
}

export interface DesiredContext {
  server: { namespace: string; name: string; uid: string }
  spec: MailServerSpec
  facts: Facts
}

export interface ObjectOptions {
  /** app.kubernetes.io/name; default mail-engine. */
  component?: string
  annotations?: Record<string, string>
  /** Besides those of the contract. */
  labels?: Record<string, string> | undefined
  /** False for data: the MailServer's end alone decides whose it is (data-ownership.ts). Default true. */
  owned?: boolean
}

/** For Argo CD, which may take an object by its labels for its own: without an owner nothing else would protect it. */
const NOT_PRUNED = { 'argocd.argoproj.io/sync-options': 'Prune=false' }

/** An object of the server with its labels and owner, and `content` as its other fields. */
export function objectOf(
  context: Pick<DesiredContext, 'server'>,
  apiVersion: string,
  kind: string,
  name: string,
  content: Record<string, unknown>,
  options: ObjectOptions = {},
): KubeObject {
  const { server } = context
  const { component, labels, owned = true } = options
  const annotations = { ...options.annotations, ...(owned ? {} : NOT_PRUNED) }
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace: server.namespace,
      labels: { ...labels, ...labelsOf(server.name, component) },
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      ...(owned ? { ownerReferences: [ownerReference(server)] } : {}),
    },
    ...content,
  }
}

/** An object of a kind of others, in the version that is served; undefined where it is not. */
export function optionalObject(
  context: DesiredContext,
  kind: OptionalKind,
  name: string,
  content: Record<string, unknown>,
  options: ObjectOptions = {},
): KubeObject | undefined {
  const resource = context.facts.served[kind]
  return resource && objectOf(context, apiVersionOf(resource), kind, name, content, options)
}

export function ownerReference(server: DesiredContext['server']): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: MailServerResource.kind,
    name: server.name,
    uid: server.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}
