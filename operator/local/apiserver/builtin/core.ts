/** Built-in kinds of the core group: schemas, defaults, and what the server decides at creation. */
import { at, isObject, type KubeObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  anything,
  atomic,
  boolean,
  conditions,
  integer,
  intOrString,
  keyed,
  labelSelector,
  labels,
  list,
  map,
  oneOf,
  quantity,
  type Schema,
  set,
  string,
  struct,
  time,
  topLevel,
  withDefault,
} from '../schema.ts'
import { type Cause, cause } from '../status-errors.ts'
import { data, defaultPodSpec } from './pod.ts'

export const namespace: Schema = topLevel(
  {
    spec: struct({ finalizers: list(string) }),
    status: struct({ phase: string, conditions }),
  },
  'Namespace provides a scope for Names.',
)

export const namespaceHooks: Hooks = {
  prepareCreate: (object) => {
    object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name }
    object.spec = { finalizers: ['kubernetes'] }
    object.status = { phase: 'Active' }
  },
  prepareUpdate: (object, old) => {
    object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name }
    object.spec = old.spec
  },
}

export const secret: Schema = topLevel(
  { data: data.binary, stringData: labels, type: withDefault(string, 'Opaque'), immutable: boolean },
  'Secret holds secret data of a certain type.',
)

const REQUIRED_KEYS: Record<string, string[]> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
}

export const secretHooks: Hooks = {
  setDefaults: (object) => {
    if (!isObject(object.stringData)) return
    const encoded = Object.entries(object.stringData).map(([key, value]) => [
      key,
      Buffer.from(String(value)).toString('base64'),
    ])
    object.data = { ...(isObject(object.data) && object.data), ...Object.fromEntries(encoded) }
    delete object.stringData
  },
  validate: (object, old) => {
    const causes = keyCauses(object, 'data')
    for (const key of REQUIRED_KEYS[String(object.type)] ?? []) {
      if (at(object, 'data', key) === undefined) causes.push(cause.required(`data[${key}]`))
    }
    if (old && old.type !== object.type) causes.push(cause.invalid('type', object.type, 'field is immutable'))
    causes.push(...immutableCauses(object, old, ['data']))
    return causes
  },
}

export const configMap: Schema = topLevel(
  { data: labels, binaryData: data.binary, immutable: boolean },
  'ConfigMap holds configuration data for pods to consume.',
)

export const configMapHooks: Hooks = {
  validate: (object, old) => [
    ...keyCauses(object, 'data'),
    ...keyCauses(object, 'binaryData'),
    ...immutableCauses(object, old, ['data', 'binaryData']),
  ],
}

function keyCauses(object: KubeObject, field: string): Cause[] {
  const rule =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
  const values = object[field]
  if (!isObject(values)) return []
  return Object.keys(values)
    .filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key))
    .map((key) => cause.invalid(`${field}[${key}]`, key, rule))
}

function immutableCauses(object: KubeObject, old: KubeObject | undefined, fields: string[]): Cause[] {
  if (!old?.immutable) return []
  const causes = object.immutable ? [] : [cause.forbidden('immutable', 'field is immutable when `immutable` is set')]
  for (const field of fields) {
    if (JSON.stringify(object[field] ?? {}) !== JSON.stringify(old[field] ?? {}))
      causes.push(cause.forbidden(field, 'field is immutable when `immutable` is set'))
  }
  return causes
}

export const service: Schema = topLevel(
  {
    spec: struct({
      type: withDefault(oneOf('ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'), 'ClusterIP'),
      ports: keyed(
        ['port', 'protocol'],
        struct({
          'port!': integer,
          protocol: withDefault(oneOf('SCTP', 'TCP', 'UDP'), 'TCP'),
          name: string,
          targetPort: intOrString,
          nodePort: integer,
          appProtocol: string,
        }),
      ),
      selector: atomic(labels),
      clusterIP: string,
      clusterIPs: list(string),
      externalIPs: list(string),
      externalName: string,
      sessionAffinity: withDefault(string, 'None'),
      sessionAffinityConfig: anything,
      loadBalancerIP: string,
      loadBalancerClass: string,
      loadBalancerSourceRanges: list(string),
      externalTrafficPolicy: string,
      internalTrafficPolicy: string,
      healthCheckNodePort: integer,
      publishNotReadyAddresses: boolean,
      ipFamilies: list(string),
      ipFamilyPolicy: string,
      allocateLoadBalancerNodePorts: boolean,
      trafficDistribution: string,
    }),
    status: struct({
      loadBalancer: struct({
        ingress: list(struct({ ip: string, hostname: string, ipMode: string, ports: list(anything) })),
      }),
      conditions,
    }),
  },
  'Service is a named abstraction of software service.',
)

type ServicePort = { port: number; protocol?: string; targetPort?: number | string; name?: string; nodePort?: number }

export function serviceHooks(allocate: { clusterIP: () => string; nodePort: () => number }): Hooks {
  return {
    setDefaults: (object) => {
      const spec = isObject(object.spec) ? object.spec : {}
      object.spec = spec
      for (const port of (spec.ports ?? []) as ServicePort[]) port.targetPort ||= port.port
      if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
      if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
      if (spec.type === 'LoadBalancer' || spec.type === 'NodePort') spec.externalTrafficPolicy ??= 'Cluster'
    },
    prepareCreate: (object) => {
      assignAddresses(object, allocate)
      object.status = { loadBalancer: {} }
    },
    prepareUpdate: (object, old) => {
      const spec = isObject(object.spec) ? object.spec : {}
      if (!spec.clusterIP) spec.clusterIP = at(old, 'spec', 'clusterIP')
      for (const port of (spec.ports ?? []) as ServicePort[]) {
        const before = ((at(old, 'spec', 'ports') ?? []) as ServicePort[]).find(
          (other) => other.port === port.port && other.protocol === port.protocol,
        )
        if (before?.nodePort && spec.type !== 'ClusterIP') port.nodePort ??= before.nodePort
      }
      assignAddresses(object, allocate)
    },
    validate: (object, old) => {
      const spec = isObject(object.spec) ? object.spec : {}
      const ports = (spec.ports ?? []) as ServicePort[]
      const causes: Cause[] = []
      if (ports.length === 0 && spec.clusterIP !== 'None' && spec.type !== 'ExternalName')
        causes.push(cause.required('spec.ports'))
      ports.forEach((port, i) => {
        if (ports.length > 1 && !port.name) causes.push(cause.required(`spec.ports[${i}].name`))
        if (port.port < 1 || port.port > 65535)
          causes.push(cause.invalid(`spec.ports[${i}].port`, port.port, 'must be between 1 and 65535, inclusive'))
        if (port.name && ports.findIndex((other) => other.name === port.name) < i)
          causes.push(cause.duplicate(`spec.ports[${i}].name`, port.name))
      })
      const before = old && at(old, 'spec', 'clusterIP')
      if (before && before !== spec.clusterIP && spec.type !== 'ExternalName') {
        causes.push(cause.invalid('spec.clusterIPs[0]', [spec.clusterIP], 'may not change once set'))
      }
      const balanced = spec.type === 'LoadBalancer' && old && at(old, 'spec', 'type') === 'LoadBalancer'
      if (balanced && spec.loadBalancerClass !== at(old, 'spec', 'loadBalancerClass')) {
        causes.push(cause.invalid('spec.loadBalancerClass', spec.loadBalancerClass ?? null, 'may not change once set'))
      }
      return causes
    },
  }
}

function assignAddresses(object: KubeObject, allocate: { clusterIP: () => string; nodePort: () => number }): void {
  const spec = isObject(object.spec) ? object.spec : {}
  if (spec.type === 'ExternalName') return
  spec.clusterIP ||= allocate.clusterIP()
  spec.clusterIPs = [spec.clusterIP]
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
  if (spec.type !== 'NodePort' && (spec.type !== 'LoadBalancer' || spec.allocateLoadBalancerNodePorts === false)) return
  for (const port of (spec.ports ?? []) as ServicePort[]) port.nodePort ??= allocate.nodePort()
}

const POD_UPDATES =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

export const podHooks: Hooks = {
  setDefaults: (object) => {
    if (isObject(object.spec)) {
      object.spec.enableServiceLinks ??= true
      defaultPodSpec(object.spec)
    }
  },
  prepareCreate: (object) => {
    if (isObject(object.spec)) {
      object.spec.serviceAccountName ??= 'default'
      object.spec.serviceAccount ??= object.spec.serviceAccountName
    }
    object.status = { phase: 'Pending', qosClass: 'BestEffort' }
  },
  validate: (object, old) => {
    if (!isObject(object.spec)) return [cause.required('spec.containers')]
    const images = (value: KubeObject) =>
      ((at(value, 'spec', 'containers') ?? []) as { name: string }[]).map(({ name }) => name).join()
    if (!old || images(old) === images(object)) return []
    return [cause.forbidden('spec', POD_UPDATES)]
  },
}

const objectReference = {
  kind: string,
  namespace: string,
  name: string,
  uid: string,
  apiVersion: string,
  resourceVersion: string,
  fieldPath: string,
}

export const event: Schema = topLevel(
  {
    involvedObject: struct(objectReference),
    reason: string,
    message: string,
    source: struct({ component: string, host: string }),
    firstTimestamp: time,
    lastTimestamp: time,
    count: integer,
    type: string,
    eventTime: time,
    action: string,
    series: struct({ count: integer, lastObservedTime: time }),
    related: struct(objectReference),
    reportingComponent: string,
    reportingInstance: string,
  },
  'Event is a report of an event somewhere in the cluster.',
)

export const persistentVolumeClaim: Schema = topLevel(
  {
    spec: struct({
      accessModes: list(string),
      selector: labelSelector,
      resources: struct({ limits: map(quantity), requests: map(quantity) }),
      volumeName: string,
      storageClassName: string,
      volumeMode: withDefault(string, 'Filesystem'),
      dataSource: anything,
      dataSourceRef: anything,
      volumeAttributesClassName: string,
    }),
    status: struct({
      phase: string,
      accessModes: list(string),
      capacity: map(quantity),
      conditions,
      allocatedResources: map(quantity),
      allocatedResourceStatuses: labels,
      currentVolumeAttributesClassName: string,
      modifyVolumeStatus: anything,
    }),
  },
  "PersistentVolumeClaim is a user's request for and claim to a persistent volume.",
)

const endpointAddress = struct({
  'ip!': string,
  hostname: string,
  nodeName: string,
  targetRef: struct(objectReference),
})
export const endpoints: Schema = topLevel(
  {
    subsets: list(
      struct({
        addresses: list(endpointAddress),
        notReadyAddresses: list(endpointAddress),
        ports: list(
          struct({ name: string, 'port!': integer, protocol: withDefault(string, 'TCP'), appProtocol: string }),
        ),
      }),
    ),
  },
  'Endpoints is a collection of endpoints that implement the actual service.',
)

export const node: Schema = topLevel(
  {
    spec: struct({
      podCIDR: string,
      podCIDRs: set(string),
      providerID: string,
      unschedulable: boolean,
      taints: list(anything),
      configSource: anything,
      externalID: string,
    }),
    status: struct({
      capacity: map(quantity),
      allocatable: map(quantity),
      conditions,
      addresses: keyed(['type'], struct({ 'type!': string, 'address!': string })),
      nodeInfo: anything,
      phase: string,
      daemonEndpoints: anything,
      images: list(anything),
      volumesInUse: list(string),
      volumesAttached: list(anything),
      config: anything,
      runtimeHandlers: list(anything),
      features: anything,
      declaredFeatures: list(string),
    }),
  },
  'Node is a worker node in Kubernetes.',
)

export const claimHooks: Hooks = {
  prepareCreate: (object) => {
    object.status = { phase: 'Pending' }
  },
}
