/** The built-in kinds a controller meets, and where objects of a kind live in the API's URL space. */

import type { ObjectKey, Resource } from './types.ts'

function resource(group: string, version: string, kind: string, plural: string, namespaced = true): Resource {
  return { group, version, kind, plural, namespaced }
}

export const Secret = resource('', 'v1', 'Secret', 'secrets')
export const ConfigMap = resource('', 'v1', 'ConfigMap', 'configmaps')
export const Service = resource('', 'v1', 'Service', 'services')
export const ServiceAccount = resource('', 'v1', 'ServiceAccount', 'serviceaccounts')
export const Pod = resource('', 'v1', 'Pod', 'pods')
export const Namespace = resource('', 'v1', 'Namespace', 'namespaces', false)
export const PersistentVolumeClaim = resource('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims')
export const Deployment = resource('apps', 'v1', 'Deployment', 'deployments')
export const ReplicaSet = resource('apps', 'v1', 'ReplicaSet', 'replicasets')
export const Job = resource('batch', 'v1', 'Job', 'jobs')
export const PodDisruptionBudget = resource('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets')
export const Lease = resource('coordination.k8s.io', 'v1', 'Lease', 'leases')
export const EndpointSlice = resource('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices')
export const NetworkPolicy = resource('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies')
export const Ingress = resource('networking.k8s.io', 'v1', 'Ingress', 'ingresses')
export const Event = resource('events.k8s.io', 'v1', 'Event', 'events')
export const HorizontalPodAutoscaler = resource(
  'autoscaling',
  'v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export const CustomResourceDefinition = resource(
  'apiextensions.k8s.io',
  'v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
)

/** apiVersion as objects carry it: "v1", "apps/v1". */
export function apiVersionOf(resource: Resource): string {
  return resource.group ? `${resource.group}/${resource.version}` : resource.version
}

/**
 * The URL path of a collection (no key, or a key without a name) or of one object.
 * @param key.namespace is ignored for cluster-scoped kinds; without it a namespaced collection means all namespaces
 * @throws TypeError for one object of a namespaced kind without its namespace: the path would mean something else
 */
export function resourcePath(
  resource: Resource,
  key?: { namespace?: string | undefined; name?: string },
  subresource?: string,
): string {
  const { group, version, plural, namespaced } = resource
  if (namespaced && key?.name && !key.namespace) throw new TypeError(`${plural}/${key.name}: a namespace is needed`)
  const parts = group ? ['apis', group, version] : ['api', version]
  if (namespaced && key?.namespace) parts.push('namespaces', key.namespace)
  parts.push(plural)
  if (key?.name) parts.push(key.name)
  if (subresource) parts.push(subresource)
  return `/${parts.map(encodeURIComponent).join('/')}`
}

/** The key of an object; namespace is '' for cluster-scoped ones. */
export function keyOf(object: { metadata: { name: string; namespace?: string } }): ObjectKey {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
}
