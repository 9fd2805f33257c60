/** The kinds of a MailServer's objects: what is watched, applied and pruned, and what a cluster may lack. */

import type { MailServerSpec } from '../api/mail-server-spec.ts'
import {
  ConfigMap,
  Deployment,
  EndpointSlice,
  HorizontalPodAutoscaler,
  Ingress,
  Job,
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
  Job,
  PodDisruptionBudget,
  NetworkPolicy,
  Ingress,
  HorizontalPodAutoscaler,
  EndpointSlice,
]

/** Kinds of others: present once their operator is installed. */
export const OPTIONAL = {
  Cluster: { group: 'postgresql.cnpg.io', kind: 'Cluster', plural: 'clusters', product: 'CloudNativePG' },
  Pooler: { group: 'postgresql.cnpg.io', kind: 'Pooler', plural: 'poolers', product: 'CloudNativePG' },
  Certificate: { group: 'cert-manager.io', kind: 'Certificate', plural: 'certificates', product: 'cert-manager' },
  CertificateRequest: {
    group: 'cert-manager.io',
    kind: 'CertificateRequest',
    plural: 'certificaterequests',
    product: 'cert-manager',
  },
  DNSEndpoint: { group: 'externaldns.k8s.io', kind: 'DNSEndpoint', plural: 'dnsendpoints', product: 'external-dns' },
  ObjectStore: {
    group: 'barmancloud.cnpg.io',
    kind: 'ObjectStore',
    plural: 'objectstores',
    product: 'the Barman Cloud plugin',
  },
  ScheduledBackup: {
    group: 'postgresql.cnpg.io',
    kind: 'ScheduledBackup',
    plural: 'scheduledbackups',
    product: 'CloudNativePG',
  },
  PodMonitor: {
    group: 'monitoring.coreos.com',
    kind: 'PodMonitor',
    plural: 'podmonitors',
    product: 'the Prometheus operator',
  },
  PrometheusRule: {
    group: 'monitoring.coreos.com',
    kind: 'PrometheusRule',
    plural: 'prometheusrules',
    product: 'the Prometheus operator',
  },
  HTTPRoute: {
    group: 'gateway.networking.k8s.io',
    kind: 'HTTPRoute',
    plural: 'httproutes',
    product: 'the Gateway API',
  },
  TCPRoute: { group: 'gateway.networking.k8s.io', kind: 'TCPRoute', plural: 'tcproutes', product: 'the Gateway API' },
} as const
export type OptionalKind = keyof typeof OPTIONAL
export const OPTIONAL_KINDS = Object.keys(OPTIONAL) as OptionalKind[]

/** What other controllers make for objects of ours, with their labels: watched, never written. */
export const READ_ONLY: readonly Pick<Resource, 'kind'>[] = [EndpointSlice, OPTIONAL.CertificateRequest]

/** The kinds of others that a spec asks for. */
export function wantedKinds(spec: MailServerSpec): Set<OptionalKind> {
  const { cnpg } = spec.database
  const { podMonitor, prometheusRule } = spec.monitoring
  const wishes: Record<OptionalKind, boolean> = {
    Cluster: cnpg !== undefined,
    Pooler: cnpg?.pooler !== undefined,
    Certificate: spec.tls.issuerRef !== undefined,
    CertificateRequest: spec.tls.issuerRef !== undefined,
    DNSEndpoint: spec.dns.publish === 'ExternalDNS',
    ObjectStore: cnpg?.backup !== undefined || cnpg?.recovery !== undefined,
    ScheduledBackup: cnpg?.backup !== undefined,
    PodMonitor: podMonitor.enabled,
    PrometheusRule: prometheusRule.enabled,
    HTTPRoute: spec.gateway !== undefined,
    TCPRoute: spec.gateway?.mail ?? false,
  }
  return new Set(OPTIONAL_KINDS.filter((kind) => wishes[kind]))
}

/** "Deployment/stalwart": names an object among those of one namespace. */
export function idOf(object: Pick<KubeObject, 'kind' | 'metadata'>): string {
  return `${object.kind}/${object.metadata.name}`
}

export function idFor(resource: Pick<Resource, 'kind'>, name: string): string {
  return `${resource.kind}/${name}`
}

/**
 * How an object of a MailServer is reached.
 * @param served kinds of others as the API serves them now
 */
export function resourceOf({ kind }: KubeObject, served: Readonly<Partial<Record<string, Resource>>>): Resource {
  const resource = BUILT_IN.find((one) => one.kind === kind) ?? served[kind]
  if (!resource) throw new TypeError(`${kind} is not among the kinds of a MailServer`)
  return resource
}

/** Every kind in the version that we know best: for rendering without a cluster. */
export function newestVersions(): Record<OptionalKind, Resource> {
  const entries = OPTIONAL_KINDS.map((kind): [OptionalKind, Resource] => {
    const { group, plural } = OPTIONAL[kind]
    return [kind, { group, version: kind === 'DNSEndpoint' ? 'v1alpha1' : 'v1', kind, plural, namespaced: true }]
  })
  return Object.fromEntries(entries) as Record<OptionalKind, Resource>
}
