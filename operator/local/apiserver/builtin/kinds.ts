/** The table of built-in kinds: what a fresh registry serves. */
import { at, type KubeObject } from '../json.ts'
import {
  ALL_VERBS,
  type Hooks,
  type NameRule,
  type Registry,
  type ResourceDefinition,
  type ScalePaths,
} from '../registry.ts'
import type { Schema } from '../schema.ts'
import type { Storage } from '../storage.ts'
import * as access from './access.ts'
import { builtInColumns } from './columns.ts'
import * as core from './core.ts'
import { customResourceDefinition, customResourceDefinitionHooks } from './custom-resource-definition.ts'
import * as events from './events.ts'
import { job, jobHooks } from './job.ts'
import * as networking from './networking.ts'
import { pod, serviceAccount } from './pod.ts'
import * as workloads from './workloads.ts'

type Kind = {
  api: string
  kind: string
  plural?: string
  schema: Schema
  hooks?: Hooks
  short?: string[]
  categories?: string[]
  cluster?: boolean
  status?: boolean
  generation?: boolean
  scale?: ScalePaths
  orphans?: boolean
  names?: NameRule
  bucket?: string
  fields?: string[]
  verbs?: string[]
  review?: (object: KubeObject) => KubeObject
}

const WORKLOAD_SCALE: ScalePaths = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.spec.selector',
}
const POD_FIELDS = [
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'spec.hostNetwork',
  'status.phase',
  'status.podIP',
  'status.nominatedNodeName',
]
const EVENT_FIELDS = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']
  .map((key) => `involvedObject.${key}`)
  .concat(['reason', 'reportingComponent', 'source', 'type'])

const CREATED_BY_UPDATE = new Set(
  'Service Endpoints Event Lease Role RoleBinding ClusterRole ClusterRoleBinding'.split(' '),
)

function kinds(allocate: { clusterIP: () => string; nodePort: () => number }): Kind[] {
  const all = ['all']
  return [
    {
      api: 'v1',
      kind: 'Namespace',
      schema: core.namespace,
      hooks: core.namespaceHooks,
      short: ['ns'],
      cluster: true,
      status: true,
      names: 'label',
      fields: ['status.phase'],
    },
    { api: 'v1', kind: 'Secret', schema: core.secret, hooks: core.secretHooks, fields: ['type'] },
    { api: 'v1', kind: 'ConfigMap', schema: core.configMap, hooks: core.configMapHooks, short: ['cm'] },
    {
      api: 'v1',
      kind: 'Service',
      schema: core.service,
      hooks: core.serviceHooks(allocate),
      short: ['svc'],
      categories: all,
      status: true,
      names: 'label',
      fields: ['spec.clusterIP', 'spec.type'],
    },
    { api: 'v1', kind: 'ServiceAccount', schema: serviceAccount, short: ['sa'] },
    {
      api: 'v1',
      kind: 'Pod',
      schema: pod,
      hooks: core.podHooks,
      short: ['po'],
      categories: all,
      status: true,
      generation: true,
      fields: POD_FIELDS,
    },
    { api: 'v1', kind: 'Event', schema: core.event, short: ['ev'], fields: EVENT_FIELDS },
    {
      api: 'v1',
      kind: 'PersistentVolumeClaim',
      schema: core.persistentVolumeClaim,
      hooks: core.claimHooks,
      short: ['pvc'],
      status: true,
    },
    { api: 'v1', kind: 'Endpoints', plural: 'endpoints', schema: core.endpoints, short: ['ep'] },
    {
      api: 'v1',
      kind: 'Node',
      schema: core.node,
      short: ['no'],
      cluster: true,
      status: true,
      fields: ['spec.unschedulable'],
    },
    {
      api: 'apps/v1',
      kind: 'Deployment',
      schema: workloads.deployment,
      hooks: workloads.workloadHooks,
      short: ['deploy'],
      categories: all,
      status: true,
      generation: true,
      scale: WORKLOAD_SCALE,
    },
    {
      api: 'apps/v1',
      kind: 'ReplicaSet',
      schema: workloads.replicaSet,
      hooks: workloads.workloadHooks,
      short: ['rs'],
      categories: all,
      status: true,
      generation: true,
      scale: WORKLOAD_SCALE,
      fields: ['status.replicas'],
    },
    {
      api: 'batch/v1',
      kind: 'Job',
      schema: job,
      hooks: jobHooks,
      categories: all,
      status: true,
      generation: true,
      orphans: true,
    },
    {
      api: 'policy/v1',
      kind: 'PodDisruptionBudget',
      schema: workloads.podDisruptionBudget,
      short: ['pdb'],
      status: true,
      generation: true,
    },
    { api: 'coordination.k8s.io/v1', kind: 'Lease', schema: workloads.lease },
    {
      api: 'events.k8s.io/v1',
      kind: 'Event',
      schema: events.event,
      hooks: events.eventHooks,
      short: ['ev'],
      bucket: 'events',
    },
    { api: 'discovery.k8s.io/v1', kind: 'EndpointSlice', schema: networking.endpointSlice },
    {
      api: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      schema: networking.networkPolicy,
      hooks: networking.networkPolicyHooks,
      short: ['netpol'],
      generation: true,
    },
    {
      api: 'networking.k8s.io/v1',
      kind: 'Ingress',
      schema: networking.ingress,
      short: ['ing'],
      status: true,
      generation: true,
    },
    {
      api: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      schema: workloads.horizontalPodAutoscaler,
      hooks: workloads.horizontalPodAutoscalerHooks,
      short: ['hpa'],
      categories: all,
      status: true,
    },
    { api: 'rbac.authorization.k8s.io/v1', kind: 'Role', schema: access.role, names: 'path' },
    {
      api: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      schema: access.roleBinding,
      hooks: access.roleBindingHooks,
      names: 'path',
    },
    {
      api: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      schema: access.clusterRole,
      cluster: true,
      names: 'path',
    },
    {
      api: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      schema: access.roleBinding,
      hooks: access.roleBindingHooks,
      cluster: true,
      names: 'path',
    },
    {
      api: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      schema: customResourceDefinition,
      hooks: customResourceDefinitionHooks,
      short: ['crd', 'crds'],
      categories: ['api-extensions'],
      cluster: true,
      status: true,
      generation: true,
    },
    {
      api: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      schema: access.selfSubjectAccessReview,
      cluster: true,
      verbs: ['create'],
      review: (object) => ({ ...object, metadata: { ...object.metadata }, status: { allowed: true } }),
    },
  ]
}

function pluralOf(kind: string): string {
  const lower = kind.toLowerCase()
  if (lower.endsWith('y')) return `${lower.slice(0, -1)}ies`
  return lower.endsWith('s') ? `${lower}es` : `${lower}s`
}

export function registerBuiltIns(registry: Registry, storage: Storage): void {
  for (const kind of kinds(allocator(storage))) registry.add(definitionOf(kind))
}

function definitionOf(kind: Kind): ResourceDefinition {
  const [group = '', version = ''] = kind.api.includes('/') ? kind.api.split('/') : ['', kind.api]
  const plural = kind.plural ?? pluralOf(kind.kind)
  const bucket = kind.bucket ?? (group ? `${group}/${plural}` : plural)
  return {
    group,
    version,
    plural,
    bucket,
    singular: kind.kind.toLowerCase(),
    kind: kind.kind,
    listKind: `${kind.kind}List`,
    namespaced: !kind.cluster,
    shortNames: kind.short ?? [],
    categories: kind.categories ?? [],
    verbs: kind.verbs ?? ALL_VERBS,
    schema: kind.schema,
    status: kind.status ?? false,
    ...(kind.scale && { scale: kind.scale }),
    generation: kind.generation ?? false,
    ...(kind.orphans && { orphans: true }),
    createOnUpdate: CREATED_BY_UPDATE.has(kind.kind),
    columns: builtInColumns(group, plural),
    selectableFields: kind.fields ?? [],
    nameRule: kind.names ?? 'subdomain',
    hooks: kind.hooks ?? {},
    custom: false,
    ...(kind.review && { review: kind.review }),
  }
}

/** Free addresses of 10.96.0.0/16 and node ports of 30000-32767: what no Service holds. */
function allocator(storage: Storage): { clusterIP: () => string; nodePort: () => number } {
  let lastAddress = 9
  let lastPort = 29_999
  return {
    clusterIP: () => {
      const taken = new Set(storage.list('services').map((service) => at(service, 'spec', 'clusterIP')))
      for (;;) {
        lastAddress = (lastAddress + 1) % 65_535
        const address = `10.96.${lastAddress >> 8}.${lastAddress & 255}`
        if (lastAddress >= 10 && !taken.has(address)) return address
      }
    },
    nodePort: () => {
      const ports = storage.list('services').flatMap((service) => at(service, 'spec', 'ports') ?? [])
      const taken = new Set(ports.map((port) => at(port, 'nodePort')))
      for (;;) {
        lastPort = lastPort >= 32_767 ? 30_000 : lastPort + 1
        if (!taken.has(lastPort)) return lastPort
      }
    },
  }
}
