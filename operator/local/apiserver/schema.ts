/**
 * The one schema language for built-in kinds and CRDs: OpenAPI v3 with Kubernetes' extensions, as in a CRD's
 * openAPIV3Schema. Short builders for the built-in kinds' hand-written tables.
 */
import type { Json } from './json.ts'

export type CelRule = {
  rule: string
  message?: string
  messageExpression?: string
  reason?: string
  fieldPath?: string
  optionalOldSelf?: boolean
}

export type Schema = {
  type?: string
  format?: string
  title?: string
  description?: string
  default?: Json
  nullable?: boolean
  enum?: Json[]
  pattern?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: boolean
  exclusiveMaximum?: boolean
  multipleOf?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minProperties?: number
  maxProperties?: number
  required?: string[]
  properties?: { [key: string]: Schema }
  additionalProperties?: Schema | boolean
  items?: Schema
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  not?: Schema
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-embedded-resource'?: boolean
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-map-type'?: string
  'x-kubernetes-validations'?: CelRule[]
  'x-kubernetes-patch-strategy'?: string
  'x-kubernetes-patch-merge-key'?: string
  'x-kubernetes-group-version-kind'?: Json
}

type Properties = { [key: string]: Schema }

/** A struct: these fields and no others. A name with `!` at its end is required. */
export function struct(fields: Properties, description?: string): Schema {
  const properties: Properties = {}
  const required: string[] = []
  for (const [key, schema] of Object.entries(fields)) {
    const name = key.replace(/!$/, '')
    if (name !== key) required.push(name)
    properties[name] = schema
  }
  return { type: 'object', properties, ...(required.length > 0 && { required }), ...(description && { description }) }
}

export const string: Schema = { type: 'string' }
export const integer: Schema = { type: 'integer', format: 'int32' }
export const long: Schema = { type: 'integer', format: 'int64' }
export const boolean: Schema = { type: 'boolean' }
export const time: Schema = { type: 'string', format: 'date-time' }
export const bytes: Schema = { type: 'string', format: 'byte' }
export const intOrString: Schema = { 'x-kubernetes-int-or-string': true }
/** A resource.Quantity: a string, or a number that becomes one. */
export const quantity: Schema = { 'x-kubernetes-int-or-string': true, format: 'quantity' }
/** A struct of which we keep whatever comes. */
export const anything: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
/** One of these strings; anything else is 422 NotSupported. */
export const oneOf = (...values: string[]): Schema => ({ type: 'string', enum: values })
export const map = (values: Schema): Schema => ({ type: 'object', additionalProperties: values })
export const labels = map(string)
/** A list that has one owner and is replaced as a whole. */
export const list = (items: Schema): Schema => ({ type: 'array', items, 'x-kubernetes-list-type': 'atomic' })
export const atomic = (schema: Schema): Schema => ({ ...schema, 'x-kubernetes-map-type': 'atomic' })
export const set = (items: Schema): Schema => ({
  type: 'array',
  items,
  'x-kubernetes-list-type': 'set',
  'x-kubernetes-patch-strategy': 'merge',
})
/** A list keyed by fields of its items; the first one is the strategic merge key as well unless `mergeKey` says other. */
export const keyed = (keys: string[], items: Schema, mergeKey = keys[0] ?? 'name'): Schema => ({
  type: 'array',
  items,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': keys,
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': mergeKey,
})
/** A list that server-side apply replaces and strategic merge merges (tolerations apart, history made a few of these). */
export const mergedAtomic = (items: Schema, mergeKey: string): Schema => ({
  ...list(items),
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': mergeKey,
})
export const withDefault = (schema: Schema, value: Json): Schema => ({ ...schema, default: value })

export const objectMeta: Schema = struct(
  {
    name: string,
    generateName: string,
    namespace: string,
    uid: string,
    resourceVersion: string,
    selfLink: string,
    generation: long,
    creationTimestamp: time,
    deletionTimestamp: time,
    deletionGracePeriodSeconds: long,
    labels: labels,
    annotations: labels,
    finalizers: set(string),
    ownerReferences: keyed(
      ['uid'],
      atomic(
        struct({
          'apiVersion!': string,
          'kind!': string,
          'name!': string,
          'uid!': string,
          controller: boolean,
          blockOwnerDeletion: boolean,
        }),
      ),
    ),
    managedFields: list(
      struct({
        manager: string,
        operation: string,
        apiVersion: string,
        time: time,
        fieldsType: string,
        fieldsV1: anything,
        subresource: string,
      }),
    ),
  },
  'Standard object metadata.',
)

/** metav1.Condition, and its cousins of the built-in kinds. */
export const condition: Schema = struct({
  'type!': string,
  'status!': string,
  observedGeneration: long,
  lastTransitionTime: time,
  lastUpdateTime: time,
  lastProbeTime: time,
  lastHeartbeatTime: time,
  reason: string,
  message: string,
})
export const conditions = keyed(['type'], condition)

export const labelSelector: Schema = atomic(
  struct({
    matchLabels: labels,
    matchExpressions: list(struct({ 'key!': string, 'operator!': string, values: list(string) })),
  }),
)

/** The whole object: apiVersion, kind, metadata and these. */
export function topLevel(fields: Properties, description?: string): Schema {
  return struct({ apiVersion: string, kind: string, metadata: objectMeta, ...fields }, description)
}

/** The schema of a property of an object value; undefined when it is not declared. */
export function propertySchema(schema: Schema, key: string): Schema | undefined {
  if (schema['x-kubernetes-embedded-resource']) {
    if (key === 'metadata') return objectMeta
    if (key === 'apiVersion' || key === 'kind') return schema.properties?.[key] ?? string
  }
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key]
  if (typeof schema.additionalProperties === 'object') return schema.additionalProperties
  return undefined
}
