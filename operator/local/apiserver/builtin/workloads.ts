/** Built-in kinds outside the core group: apps, policy, coordination, discovery, networking, autoscaling, rbac, reviews. */
import { at, equal, isObject, type KubeObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  anything,
  atomic,
  boolean,
  conditions,
  integer,
  intOrString,
  labelSelector,
  labels,
  list,
  long,
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
import { cause } from '../status-errors.ts'
import { defaultPodSpec, podTemplate } from './pod.ts'

export const deployment: Schema = topLevel(
  {
    spec: struct({
      replicas: withDefault(integer, 1),
      'selector!': labelSelector,
      template: podTemplate,
      strategy: withDefault(
        struct({
          type: withDefault(oneOf('Recreate', 'RollingUpdate'), 'RollingUpdate'),
          rollingUpdate: struct({
            maxSurge: withDefault(intOrString, '25%'),
            maxUnavailable: withDefault(intOrString, '25%'),
          }),
        }),
        {},
      ),
      minReadySeconds: integer,
      revisionHistoryLimit: withDefault(integer, 10),
      paused: boolean,
      progressDeadlineSeconds: withDefault(integer, 600),
    }),
    status: struct({
      observedGeneration: long,
      replicas: integer,
      updatedReplicas: integer,
      readyReplicas: integer,
      availableReplicas: integer,
      unavailableReplicas: integer,
      terminatingReplicas: integer,
      collisionCount: integer,
      conditions,
    }),
  },
  'Deployment enables declarative updates for Pods and ReplicaSets.',
)

export const replicaSet: Schema = topLevel(
  {
    spec: struct({
      replicas: withDefault(integer, 1),
      minReadySeconds: integer,
      'selector!': labelSelector,
      template: podTemplate,
    }),
    status: struct({
      replicas: integer,
      fullyLabeledReplicas: integer,
      readyReplicas: integer,
      availableReplicas: integer,
      terminatingReplicas: integer,
      observedGeneration: long,
      conditions,
    }),
  },
  'ReplicaSet ensures that a specified number of pod replicas are running at any given time.',
)

/** What Deployments and ReplicaSets share: the template's defaults, and a selector that fits it and stays. */
export const workloadHooks: Hooks = {
  setDefaults: (object) => {
    const strategy = at(object, 'spec', 'strategy')
    if (isObject(strategy) && strategy.type === 'RollingUpdate') {
      strategy.rollingUpdate = {
        maxSurge: '25%',
        maxUnavailable: '25%',
        ...(isObject(strategy.rollingUpdate) && strategy.rollingUpdate),
      }
    }
    const podSpec = at(object, 'spec', 'template', 'spec')
    if (isObject(podSpec)) defaultPodSpec(podSpec)
  },
  validate: (object, old) => {
    const matchLabels = at(object, 'spec', 'selector', 'matchLabels')
    const templateLabels = at(object, 'spec', 'template', 'metadata', 'labels')
    const fits =
      isObject(matchLabels) &&
      Object.entries(matchLabels).every(([key, value]) => isObject(templateLabels) && templateLabels[key] === value)
    const expressions = at(object, 'spec', 'selector', 'matchExpressions')
    const causes =
      fits || expressions
        ? []
        : [
            cause.invalid(
              'spec.template.metadata.labels',
              templateLabels ?? null,
              '`selector` does not match template `labels`',
            ),
          ]
    if (old && !equal(at(object, 'spec', 'selector'), at(old, 'spec', 'selector'))) {
      causes.push(cause.invalid('spec.selector', at(object, 'spec', 'selector'), 'field is immutable'))
    }
    if (!at(object, 'spec', 'template', 'spec')) causes.push(cause.required('spec.template.spec.containers'))
    const replicas = at(object, 'spec', 'replicas')
    if (typeof replicas === 'number' && replicas < 0)
      causes.push(cause.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'))
    return causes
  },
}

export const podDisruptionBudget: Schema = topLevel(
  {
    spec: struct({
      minAvailable: intOrString,
      maxUnavailable: intOrString,
      selector: labelSelector,
      unhealthyPodEvictionPolicy: string,
    }),
    status: struct({
      observedGeneration: long,
      disruptedPods: map(time),
      disruptionsAllowed: integer,
      currentHealthy: integer,
      desiredHealthy: integer,
      expectedPods: integer,
      conditions,
    }),
  },
  'PodDisruptionBudget is an object to define the max disruption that can be caused to a collection of pods.',
)

export const lease: Schema = topLevel(
  {
    spec: struct({
      holderIdentity: string,
      leaseDurationSeconds: integer,
      acquireTime: time,
      renewTime: time,
      leaseTransitions: integer,
      strategy: string,
      preferredHolder: string,
    }),
  },
  'Lease defines a lease concept.',
)

const objectReference = atomic(
  struct({
    kind: string,
    namespace: string,
    name: string,
    uid: string,
    apiVersion: string,
    resourceVersion: string,
    fieldPath: string,
  }),
)

export const event: Schema = topLevel(
  {
    eventTime: time,
    series: struct({ count: integer, lastObservedTime: time }),
    reportingController: string,
    reportingInstance: string,
    action: string,
    reason: string,
    regarding: objectReference,
    related: objectReference,
    note: string,
    type: string,
    deprecatedSource: struct({ component: string, host: string }),
    deprecatedFirstTimestamp: time,
    deprecatedLastTimestamp: time,
    deprecatedCount: integer,
  },
  'Event is a report of an event somewhere in the cluster.',
)

const EVENT_NAMES: [string, string][] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
]

function renamed(object: KubeObject, names: [string, string][]): KubeObject {
  const result = { ...object }
  for (const [from, to] of names) {
    if (result[from] === undefined) continue
    result[to] = result[from]
    delete result[from]
  }
  return result
}

/** events.k8s.io/v1 and core/v1 are two views of the same events, stored as core/v1. */
export const eventHooks: Hooks = {
  toStored: (object) => ({ ...renamed(object, EVENT_NAMES), apiVersion: 'v1' }),
  fromStored: (object) =>
    renamed(
      object,
      EVENT_NAMES.map(([from, to]) => [to, from]),
    ),
}

export const endpointSlice: Schema = topLevel(
  {
    'addressType!': string,
    endpoints: list(
      struct({
        'addresses!': set(string),
        conditions: struct({ ready: boolean, serving: boolean, terminating: boolean }),
        hostname: string,
        targetRef: objectReference,
        deprecatedTopology: labels,
        nodeName: string,
        zone: string,
        hints: anything,
      }),
    ),
    ports: list(
      struct({
        name: withDefault(string, ''),
        protocol: withDefault(string, 'TCP'),
        port: integer,
        appProtocol: string,
      }),
    ),
  },
  'EndpointSlice represents a set of service endpoints.',
)

const policyPorts = list(struct({ protocol: withDefault(string, 'TCP'), port: intOrString, endPort: integer }))
const policyPeers = list(
  struct({
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: struct({ 'cidr!': string, except: list(string) }),
  }),
)
export const networkPolicy: Schema = topLevel(
  {
    spec: struct({
      podSelector: labelSelector,
      policyTypes: list(string),
      ingress: list(struct({ ports: policyPorts, from: policyPeers })),
      egress: list(struct({ ports: policyPorts, to: policyPeers })),
    }),
  },
  'NetworkPolicy describes what network traffic is allowed for a set of Pods.',
)

export const networkPolicyHooks: Hooks = {
  setDefaults: (object) => {
    if (!isObject(object.spec) || object.spec.policyTypes) return
    object.spec.policyTypes = object.spec.egress ? ['Ingress', 'Egress'] : ['Ingress']
  },
}

const ingressBackend = struct({
  service: struct({ 'name!': string, port: struct({ name: string, number: integer }) }),
  resource: atomic(struct({ apiGroup: string, 'kind!': string, 'name!': string })),
})
export const ingress: Schema = topLevel(
  {
    spec: struct({
      ingressClassName: string,
      defaultBackend: ingressBackend,
      tls: list(struct({ hosts: list(string), secretName: string })),
      rules: list(
        struct({
          host: string,
          http: struct({
            'paths!': list(
              struct({
                path: string,
                'pathType!': oneOf('Exact', 'ImplementationSpecific', 'Prefix'),
                'backend!': ingressBackend,
              }),
            ),
          }),
        }),
      ),
    }),
    status: struct({
      loadBalancer: struct({ ingress: list(struct({ ip: string, hostname: string, ports: list(anything) })) }),
    }),
  },
  'Ingress is a collection of rules that allow inbound connections to reach the endpoints defined by a backend.',
)

const metricTarget = struct({ 'type!': string, value: quantity, averageValue: quantity, averageUtilization: integer })
const metricIdentifier = struct({ 'name!': string, selector: labelSelector })
const scalingRules = struct({
  selectPolicy: withDefault(string, 'Max'),
  stabilizationWindowSeconds: integer,
  tolerance: quantity,
  policies: list(struct({ 'type!': string, 'value!': integer, 'periodSeconds!': integer })),
})
const scaleTarget = struct({ apiVersion: string, 'kind!': string, 'name!': string })
export const horizontalPodAutoscaler: Schema = topLevel(
  {
    spec: struct({
      'scaleTargetRef!': scaleTarget,
      minReplicas: withDefault(integer, 1),
      'maxReplicas!': integer,
      metrics: list(
        struct({
          'type!': string,
          resource: struct({ 'name!': string, 'target!': metricTarget }),
          pods: struct({ metric: metricIdentifier, target: metricTarget }),
          object: struct({ describedObject: scaleTarget, metric: metricIdentifier, target: metricTarget }),
          external: struct({ metric: metricIdentifier, target: metricTarget }),
          containerResource: struct({ 'name!': string, 'container!': string, 'target!': metricTarget }),
        }),
      ),
      behavior: struct({ scaleUp: scalingRules, scaleDown: scalingRules }),
    }),
    status: struct({
      observedGeneration: long,
      lastScaleTime: time,
      currentReplicas: integer,
      desiredReplicas: integer,
      currentMetrics: list(anything),
      conditions,
    }),
  },
  'HorizontalPodAutoscaler automatically manages the replica count of any resource implementing the scale subresource.',
)

export const horizontalPodAutoscalerHooks: Hooks = {
  setDefaults: (object) => {
    if (isObject(object.spec) && !object.spec.metrics) {
      object.spec.metrics = [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ]
    }
  },
}

const policyRules = list(
  struct({
    'verbs!': list(string),
    apiGroups: list(string),
    resources: list(string),
    resourceNames: list(string),
    nonResourceURLs: list(string),
  }),
)
export const role: Schema = topLevel({ rules: policyRules }, 'Role is a namespaced, logical grouping of PolicyRules.')
export const clusterRole: Schema = topLevel(
  { rules: policyRules, aggregationRule: struct({ clusterRoleSelectors: list(labelSelector) }) },
  'ClusterRole is a cluster level, logical grouping of PolicyRules.',
)
export const roleBinding: Schema = topLevel(
  {
    subjects: list(atomic(struct({ 'kind!': string, apiGroup: string, 'name!': string, namespace: string }))),
    'roleRef!': atomic(
      struct({ apiGroup: withDefault(string, 'rbac.authorization.k8s.io'), 'kind!': string, 'name!': string }),
    ),
  },
  'A binding references a role, but does not contain it.',
)

export const roleBindingHooks: Hooks = {
  setDefaults: (object) => {
    for (const subject of Array.isArray(object.subjects) ? object.subjects : []) {
      if (isObject(subject) && subject.kind !== 'ServiceAccount') subject.apiGroup ??= 'rbac.authorization.k8s.io'
    }
  },
  validate: (object, old) =>
    old && !equal(object.roleRef, old.roleRef)
      ? [cause.invalid('roleRef', object.roleRef, 'cannot change roleRef')]
      : [],
}

const attributes = struct({
  namespace: string,
  verb: string,
  group: string,
  version: string,
  resource: string,
  subresource: string,
  name: string,
  fieldSelector: anything,
  labelSelector: anything,
})
export const selfSubjectAccessReview: Schema = topLevel(
  {
    spec: struct({ resourceAttributes: attributes, nonResourceAttributes: struct({ path: string, verb: string }) }),
    status: struct({ allowed: boolean, denied: boolean, reason: string, evaluationError: string }),
  },
  'SelfSubjectAccessReview checks whether or the current user can perform an action.',
)

export const scale: Schema = topLevel(
  {
    spec: struct({ replicas: integer }),
    status: struct({ replicas: integer, selector: string }),
  },
  'Scale represents a scaling request for a resource.',
)
