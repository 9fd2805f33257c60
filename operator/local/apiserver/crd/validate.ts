/**
 * Validation by schema with the messages of kube-openapi's validator as the API server words them. On an update, what
 * did not change is not checked again (ratcheting), so a stricter schema never blocks an old object.
 */
import { isIP } from 'node:net'
import { at, equal, isObject, type Json, type KubeObject } from '../json.ts'
import type { ResourceDefinition } from '../registry.ts'
import { objectMeta, propertySchema, type Schema } from '../schema.ts'
import { type Cause, cause } from '../status-errors.ts'
import { celCauses } from './cel.ts'

const MAX_CAUSES = 100

/** Rules run on values of the right shape only; these problems say that it is not. */
const BLOCKING = new Set([
  'FieldValueRequired',
  'FieldValueNotSupported',
  'FieldValueTypeInvalid',
  'FieldValueTooLong',
  'FieldValueTooMany',
])
const NOT_CHECKED = cause.invalid(
  '<nil>',
  null,
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
)

function hasRules(schema: Schema): boolean {
  if (schema['x-kubernetes-validations']?.length) return true
  const below = [...Object.values(schema.properties ?? {}), ...(schema.items ? [schema.items] : [])]
  if (typeof schema.additionalProperties === 'object') below.push(schema.additionalProperties)
  return below.some(hasRules)
}

/** What the scale subresource would read must be a count. */
function scaleCauses({ scale }: ResourceDefinition, object: KubeObject): Cause[] {
  if (!scale) return []
  const path = scale.specReplicasPath
  const replicas = at(object, ...path.replace(/^\./, '').split('.'))
  if (replicas === undefined) return []
  if (typeof replicas === 'number')
    return replicas < 0 ? [cause.invalid(path, replicas, 'should be a non-negative integer')] : []
  return [
    cause.invalid(path, 0, `${path} accessor error: ${replicas} is of the type ${typeName(replicas)}, expected int64`),
  ]
}

export function validateObject(
  definition: ResourceDefinition,
  object: KubeObject,
  old: KubeObject | undefined,
): Cause[] {
  const causes = validate(object, definition.schema, '', old)
  if (definition.custom) causes.push(...scaleCauses(definition, object))
  if (definition.custom && hasRules(definition.schema)) {
    const blocked = causes.some(({ reason }) => BLOCKING.has(reason))
    causes.push(...(blocked ? [NOT_CHECKED] : celCauses(object, definition.schema, old)))
  }
  return causes.slice(0, MAX_CAUSES)
}

export function validate(value: Json, schema: Schema, path: string, old?: Json): Cause[] {
  if (schema === objectMeta || (old !== undefined && equal(value, old))) return []
  const field = path || '<nil>'
  if (value === null) return schema.nullable || !schema.type ? [] : [typeCause(field, value, schema.type)]
  if (schema['x-kubernetes-int-or-string']) {
    const fits = typeof value === 'string' || Number.isInteger(value)
    if (!fits)
      return [
        cause.typeInvalid(
          field,
          typeName(value),
          `${field} in body must be of type integer,string: ${JSON.stringify(typeName(value))}`,
        ),
      ]
  } else if (schema.type && !hasType(value, schema.type)) return [typeCause(field, value, schema.type)]
  return [
    ...enumCauses(value, schema, field),
    ...stringCauses(value, schema, field),
    ...numberCauses(value, schema, field),
    ...listCauses(value, schema, path, old),
    ...objectCauses(value, schema, path, old),
    ...combinationCauses(value, schema, path),
  ]
}

function hasType(value: Json, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  return type === 'object' ? isObject(value) : typeof value === type
}

function typeName(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value
}

function typeCause(field: string, value: Json, type: string): Cause {
  const name = typeName(value)
  return cause.typeInvalid(field, name, `${field} in body must be of type ${type}: ${JSON.stringify(name)}`)
}

function enumCauses(value: Json, schema: Schema, field: string): Cause[] {
  if (!schema.enum || schema.enum.some((allowed) => equal(allowed, value))) return []
  return [cause.notSupported(field, value, schema.enum)]
}

function stringCauses(value: Json, { minLength, maxLength, pattern, format }: Schema, field: string): Cause[] {
  if (typeof value !== 'string') return []
  const causes: Cause[] = []
  const length = [...value].length
  if (maxLength !== undefined && length > maxLength) causes.push(cause.tooLong(field, maxLength))
  if (minLength !== undefined && length < minLength) {
    causes.push(cause.invalid(field, value, `${field} in body should be at least ${minLength} chars long`))
  }
  if (pattern !== undefined && !matchesPattern(pattern, value)) {
    causes.push(cause.invalid(field, value, `${field} in body should match '${pattern}'`))
  }
  if (format !== undefined && FORMATS[format]?.(value) === false) {
    causes.push(cause.typeInvalid(field, value, `${field} in body must be of type ${format}: ${JSON.stringify(value)}`))
  }
  return causes
}

/** Go's RE2 syntax is nearly a subset of ours; what only it has is compiled without the flag that forbids it. */
function matchesPattern(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value)
  } catch {
    return new RegExp(pattern.replaceAll('\\z', '$')).test(value)
  }
}

const FORMATS: Record<string, (value: string) => boolean> = {
  'date-time': (value) =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value),
  byte: (value) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value),
  ipv4: (value) => isIP(value) === 4,
  ipv6: (value) => isIP(value) === 6,
  uri: (value) => URL.canParse(value) || value.startsWith('/'),
  uuid: (value) => /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value),
  email: (value) => /^[^@\s]+@[^@\s]+$/.test(value),
  hostname: (value) => value.length <= 255 && /^([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.?)+$/.test(value),
  duration: (value) => /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w)\s*)+$|^0$/.test(value),
}

function numberCauses(value: Json, schema: Schema, field: string): Cause[] {
  if (typeof value !== 'number') return []
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = schema
  const causes: Cause[] = []
  const should = (text: string) => causes.push(cause.invalid(field, value, `${field} in body should be ${text}`))
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum)) {
    should(`greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`)
  }
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum)) {
    should(`less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`)
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) should(`a multiple of ${multipleOf}`)
  if (format === 'int32' && Math.abs(value) > 2 ** 31 && causes.length === 0) {
    causes.push(cause.invalid(field, value, `${field} in body must be of type int32: "integer"`))
  }
  return causes
}

function listCauses(value: Json, schema: Schema, path: string, old: Json | undefined): Cause[] {
  if (!Array.isArray(value)) return []
  const field = path || '<nil>'
  const causes: Cause[] = []
  const { minItems, maxItems, items } = schema
  if (maxItems !== undefined && value.length > maxItems) causes.push(cause.tooMany(field, value.length, maxItems))
  if (minItems !== undefined && value.length < minItems) {
    causes.push(cause.invalid(field, value.length, `${field} in body should have at least ${minItems} items`))
  }
  causes.push(...duplicateCauses(value, schema, path))
  for (const [i, item] of items ? value.entries() : []) {
    if (items) causes.push(...validate(item, items, `${path}[${i}]`, correlated(schema, item, old)))
  }
  return causes
}

/** The old item that an item continues: by its keys in a map list. Other lists have no identity. */
export function correlated(schema: Schema, item: Json, old: Json | undefined): Json | undefined {
  if (!Array.isArray(old)) return undefined
  const keys = schema['x-kubernetes-list-map-keys']
  if (schema['x-kubernetes-list-type'] !== 'map' || !keys || !isObject(item)) return undefined
  return old.find((other) => isObject(other) && keys.every((key) => equal(other[key], item[key])))
}

function duplicateCauses(value: Json[], schema: Schema, path: string): Cause[] {
  const listType = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  if (listType !== 'set' && listType !== 'map') return []
  const seen = new Set<string>()
  return value.flatMap((item, i) => {
    const identity =
      listType === 'map' && isObject(item)
        ? Object.fromEntries(keys.flatMap((key) => (item[key] === undefined ? [] : [[key, item[key]]])))
        : item
    const text = JSON.stringify(identity)
    if (seen.has(text)) return [cause.duplicate(`${path}[${i}]`, identity)]
    seen.add(text)
    return []
  })
}

function objectCauses(value: Json, schema: Schema, path: string, old: Json | undefined): Cause[] {
  if (!isObject(value)) return []
  const field = path || '<nil>'
  const causes: Cause[] = []
  const count = Object.keys(value).length
  const { minProperties, maxProperties, required = [] } = schema
  if (maxProperties !== undefined && count > maxProperties) causes.push(cause.tooMany(field, count, maxProperties))
  if (minProperties !== undefined && count < minProperties) {
    causes.push(cause.invalid(field, count, `${field} in body should have at least ${minProperties} properties`))
  }
  for (const key of required) {
    if (value[key] === undefined) causes.push(cause.required(path ? `${path}.${key}` : key))
  }
  for (const [key, member] of Object.entries(value)) {
    const below = propertySchema(schema, key)
    if (!below || member === undefined) continue
    const declared = schema.properties !== undefined && Object.hasOwn(schema.properties, key)
    const at = declared ? (path ? `${path}.${key}` : key) : `${path}.${key}`
    causes.push(...validate(member, below, at, isObject(old) ? old[key] : undefined))
  }
  return causes
}

function combinationCauses(value: Json, schema: Schema, path: string): Cause[] {
  const { allOf, anyOf, oneOf, not } = schema
  const causes: Cause[] = []
  const must = (text: string) => causes.push(cause.invalid('<nil>', '', `${JSON.stringify(path)} must ${text}`))
  if (anyOf) {
    const failures = anyOf.map((branch) => validate(value, branch, path))
    if (failures.every((found) => found.length > 0)) {
      must('validate at least one schema (anyOf)')
      causes.push(...nearest(failures))
    }
  }
  if (oneOf) {
    const failures = oneOf.map((branch) => validate(value, branch, path))
    const valid = failures.filter((found) => found.length === 0).length
    if (valid !== 1) {
      must(
        `validate one and only one schema (oneOf). ${valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`}`,
      )
      if (valid === 0) causes.push(...nearest(failures))
    }
  }
  for (const branch of allOf ?? []) causes.push(...validate(value, branch, path))
  if (not && validate(value, not, path).length === 0) must('not validate the schema (not)')
  return causes
}

/** The problems of the alternative that came closest. */
function nearest(failures: Cause[][]): Cause[] {
  return failures.reduce<Cause[]>((best, found, i) => (i === 0 || found.length < best.length ? found : best), [])
}
