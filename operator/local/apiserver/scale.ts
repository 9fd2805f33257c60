/** The scale subresource: autoscaling/v1 Scale as a view of an object's replica fields. */
import { scale as scaleSchema } from './builtin/workloads.ts'
import { at, clone, isObject, type Json, type JsonObject, type KubeObject } from './json.ts'
import { ALL_VERBS, type ResourceDefinition } from './registry.ts'
import { badRequest } from './status-errors.ts'

/** Scale as a kind, so that the patches of every other kind work on it. */
export const SCALE: ResourceDefinition = {
  group: 'autoscaling',
  version: 'v1',
  plural: 'scales',
  singular: 'scale',
  kind: 'Scale',
  listKind: 'ScaleList',
  namespaced: true,
  shortNames: [],
  categories: [],
  verbs: ALL_VERBS,
  schema: scaleSchema,
  bucket: '',
  status: false,
  generation: false,
  createOnUpdate: false,
  columns: [],
  selectableFields: [],
  nameRule: 'subdomain',
  hooks: {},
  custom: false,
}

const keys = (path: string) => path.replace(/^\./, '').split('.')

export function scaleOf(definition: ResourceDefinition, object: KubeObject): KubeObject {
  const { specReplicasPath = '', statusReplicasPath = '', labelSelectorPath } = definition.scale ?? {}
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = labelSelectorPath ? selectorText(at(object, ...keys(labelSelectorPath))) : ''
  const metadata = {
    name,
    ...(namespace && { namespace }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
    ...(creationTimestamp && { creationTimestamp }),
  }
  const replicas = at(object, ...keys(specReplicasPath))
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata,
    spec: { ...(replicas !== undefined && { replicas }) },
    status: { replicas: at(object, ...keys(statusReplicasPath)) ?? 0, ...(selector && { selector }) },
  }
}

function selectorText(selector: Json | undefined): string {
  if (typeof selector === 'string') return selector
  const labels = at(selector, 'matchLabels')
  return isObject(labels)
    ? Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(',')
    : ''
}

/** The object with the replicas that a Scale asks for. @throws ApiError 400 */
export function withScale(definition: ResourceDefinition, object: KubeObject, scale: KubeObject): KubeObject {
  const replicas = at(scale, 'spec', 'replicas') ?? 0
  if (!Number.isInteger(replicas))
    throw badRequest('Scale in version "v1" cannot be handled as a Scale: spec.replicas is not an integer')
  const next = clone(object)
  const path = keys(definition.scale?.specReplicasPath ?? '')
  let parent: JsonObject = next
  for (const key of path.slice(0, -1)) {
    const below = parent[key]
    const child: JsonObject = isObject(below) ? below : {}
    parent[key] = child
    parent = child
  }
  parent[path.at(-1) ?? ''] = replicas
  const { resourceVersion, uid } = scale.metadata
  next.metadata = { ...next.metadata, ...(resourceVersion && { resourceVersion }), ...(uid && { uid }) }
  return next
}
