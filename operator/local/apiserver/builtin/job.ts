/** Job (batch/v1): run to completion. Defaults: pkg/apis/batch/v1/defaults.go; selector: pkg/registry/batch/job/strategy.go. */
import { at, clone, equal, isObject, type Json, type JsonObject, type KubeObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  boolean,
  condition,
  integer,
  labelSelector,
  list,
  long,
  mergedAtomic,
  oneOf,
  type Schema,
  set,
  string,
  struct,
  time,
  topLevel,
  withDefault,
} from '../schema.ts'
import { type Cause, cause } from '../status-errors.ts'
import { defaultPodSpec, podTemplate } from './pod.ts'

const podFailureRule = struct({
  'action!': oneOf('Count', 'FailIndex', 'FailJob', 'Ignore'),
  onExitCodes: struct({
    containerName: string,
    'operator!': oneOf('In', 'NotIn'),
    'values!': set(integer),
  }),
  onPodConditions: list(struct({ 'type!': string, status: withDefault(string, 'True') })),
})

export const job: Schema = topLevel(
  {
    spec: struct({
      parallelism: integer,
      completions: integer,
      activeDeadlineSeconds: long,
      podFailurePolicy: struct({ 'rules!': list(podFailureRule) }),
      successPolicy: struct({ 'rules!': list(struct({ succeededIndexes: string, succeededCount: integer })) }),
      backoffLimit: withDefault(integer, 6),
      backoffLimitPerIndex: integer,
      maxFailedIndexes: integer,
      selector: labelSelector,
      manualSelector: withDefault(boolean, false),
      'template!': podTemplate,
      ttlSecondsAfterFinished: integer,
      completionMode: withDefault(oneOf('NonIndexed', 'Indexed'), 'NonIndexed'),
      suspend: withDefault(boolean, false),
      podReplacementPolicy: oneOf('Failed', 'TerminatingOrFailed'),
      managedBy: string,
    }),
    status: struct({
      conditions: mergedAtomic(condition, 'type'),
      startTime: time,
      completionTime: time,
      active: integer,
      succeeded: integer,
      failed: integer,
      terminating: integer,
      ready: integer,
      completedIndexes: string,
      failedIndexes: string,
      uncountedTerminatedPods: struct({ succeeded: set(string), failed: set(string) }),
    }),
  },
  'Job represents the configuration of a single job.',
)

/** Fields that stay as they were made (ValidateJobSpecUpdate). */
const FIXED = ['selector', 'template', 'completionMode', 'podFailurePolicy', 'successPolicy', 'managedBy']

export const jobHooks: Hooks = {
  setDefaults: ({ spec }) => {
    if (!isObject(spec)) return
    if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
    spec.parallelism ??= 1
    spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed'
    const podSpec = at(spec, 'template', 'spec')
    if (isObject(podSpec)) defaultPodSpec(podSpec)
  },
  prepareCreate: (object) => {
    const { spec, metadata } = object
    if (!isObject(spec) || !isObject(spec.template)) return
    if (spec.manualSelector !== true) generateSelector(spec, spec.template, metadata)
    const labels = at(spec.template, 'metadata', 'labels')
    if (!metadata.labels && isObject(labels)) metadata.labels = clone(labels) as Record<string, string>
  },
  validate: (object, old) => [
    ...nameCauses(object),
    ...restartCauses(object),
    ...failurePolicyCauses(object),
    ...FIXED.filter((field) => old && !equal(at(object, 'spec', field) ?? null, at(old, 'spec', field) ?? null)).map(
      (field) => cause.invalid(`spec.${field}`, at(object, 'spec', field) ?? null, 'field is immutable'),
    ),
  ],
}

/** The Pods of a Job are told from all others by its uid. */
function generateSelector(spec: JsonObject, template: JsonObject, metadata: KubeObject['metadata']): void {
  const uid = metadata.uid ?? ''
  const generated = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': metadata.name,
    'controller-uid': uid,
    'job-name': metadata.name,
  }
  const templateMetadata = isObject(template.metadata) ? template.metadata : {}
  const labels = isObject(templateMetadata.labels) ? templateMetadata.labels : {}
  template.metadata = { ...templateMetadata, labels: { ...generated, ...labels } }
  const selector = isObject(spec.selector) ? spec.selector : {}
  const matchLabels = isObject(selector.matchLabels) ? selector.matchLabels : {}
  spec.selector = { ...selector, matchLabels: { 'batch.kubernetes.io/controller-uid': uid, ...matchLabels } }
}

/** The name becomes a label of the Pods. */
function nameCauses({ metadata }: KubeObject): Cause[] {
  const { name } = metadata
  return name.length > 63 ? [cause.invalid('spec.template.labels', name, 'must be no more than 63 bytes')] : []
}

function restartCauses(object: KubeObject): Cause[] {
  const restartPolicy = at(object, 'spec', 'template', 'spec', 'restartPolicy')
  const field = 'spec.template.spec.restartPolicy'
  if (restartPolicy === 'Always') return [cause.required(field, 'valid values: "OnFailure", "Never"')]
  if (restartPolicy === 'Never' || !at(object, 'spec', 'podFailurePolicy')) return []
  return [cause.invalid(field, restartPolicy, 'only "Never" is supported when podFailurePolicy is specified')]
}

function failurePolicyCauses(object: KubeObject): Cause[] {
  const rules = at(object, 'spec', 'podFailurePolicy', 'rules')
  if (!Array.isArray(rules)) return []
  const causes = rules.flatMap((rule, index) => exitCodeCauses(object, rule, `spec.podFailurePolicy.rules[${index}]`))
  const replacement = at(object, 'spec', 'podReplacementPolicy')
  if (replacement === 'TerminatingOrFailed') {
    causes.push(cause.notSupported('spec.podReplacementPolicy', replacement, ['Failed']))
  }
  return causes
}

function exitCodeCauses(object: KubeObject, rule: Json, path: string): Cause[] {
  const causes: Cause[] = []
  const containerName = at(rule, 'onExitCodes', 'containerName')
  const containers = at(object, 'spec', 'template', 'spec', 'containers')
  const names = Array.isArray(containers) ? containers.map((container) => at(container, 'name')) : []
  if (containerName !== undefined && !names.includes(containerName)) {
    const why = 'must be one of the container or initContainer names in the pod template'
    causes.push(cause.invalid(`${path}.onExitCodes.containerName`, containerName, why))
  }
  const values = at(rule, 'onExitCodes', 'values')
  if (!Array.isArray(values)) return causes
  const field = `${path}.onExitCodes.values`
  if (values.length === 0) causes.push(cause.invalid(field, null, 'at least one value is required'))
  values.forEach((value, index) => {
    if (value === 0 && at(rule, 'onExitCodes', 'operator') === 'In') {
      causes.push(cause.invalid(`${field}[${index}]`, value, 'must not be 0 for the In operator'))
    }
  })
  if (values.some((value, index) => index > 0 && Number(values[index - 1]) > Number(value))) {
    causes.push(cause.invalid(field, values, 'must be ordered'))
  }
  return causes
}
