/** Workloads and what moves them: Deployment, ReplicaSet, PodDisruptionBudget, HorizontalPodAutoscaler, Scale, Lease. */
import { at, equal, isObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  anything,
  boolean,
  conditions,
  integer,
  intOrString,
  labelSelector,
  list,
  long,
  map,
  oneOf,
  quantity,
  type Schema,
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

export const scale: Schema = topLevel(
  {
    spec: struct({ replicas: integer }),
    status: struct({ replicas: integer, selector: string }),
  },
  'Scale represents a scaling request for a resource.',
)
