/** The kinds of a MailServer's objects: what is watched, applied and pruned, and what a cluster may lack. */

import {
  ConfigMap,
  Deployment,
  EndpointSlice,
  NetworkPolicy,
  PodDisruptionBudget,
  Secret,
  Service,
  ServiceAccount,
} from '../kube/resources.ts'
import type { KubeObject, Resource } from '../kube/types.ts'

/** Built in, so always there. */
export const BUILT_IN: readonly Resource[] = [
  Secret,
  ConfigMap,
  Service,
  ServiceAccount,
  Deployment,
  PodDisruptionBudget,
  NetworkPolicy,
  EndpointSlice,
]

/** Made by EndpointSlice's own controller: watched, never written. */
export const READ_ONLY: readonly Resource[] = [EndpointSlice]

/** Kinds of others: present once their operator is installed. */
export const OPTIONAL = {
  Cluster: { group: 'postgresql.cnpg.io', kind: 'Cluster', plural: 'clusters', product: 'CloudNativePG' },
  Certificate: { group: 'cert-manager.io', kind: 'Certificate', plural: 'certificates', product: 'cert-manager' },
  DNSEndpoint: { group: 'externaldns.k8s.io', kind: 'DNSEndpoint', plural: 'dnsendpoints', product: 'external-dns' },
} as const
export type OptionalKind = keyof typeof OPTIONAL

/** "Deployment/stalwart": names an object among those of one namespace. */
export function idOf(object: Pick<KubeObject, 'kind' | 'metadata'>): string {
  return `${object.kind}/${object.metadata.name}`
}

export function idFor(resource: Pick<Resource, 'kind'>, name: string): string {
  return `${resource.kind}/${name}`
}
