/**
 * Reading a body into a kind: unknown and repeated fields are found (fieldValidation decides what they mean), and for
 * built-in kinds, which the real server decodes into Go structs, wrong JSON types are refused and nulls and empty
 * lists vanish. What a CRD says beyond that is crd/'s work.
 */
import { isObject, type Json, type JsonObject } from './json.ts'
import { propertySchema, type Schema } from './schema.ts'
import { badRequest } from './status-errors.ts'

const MAX_DEPTH = 100

export class JsonTypeError extends Error {}

/** A copy of the value as the Go struct would hold it. `unknown` collects paths of fields that the schema lacks. */
export function decodeTyped(value: Json, schema: Schema, path: string, unknown: string[], depth = 0): Json {
  if (depth > MAX_DEPTH) throw badRequest('exceeded max depth')
  if (schema['x-kubernetes-int-or-string']) {
    if (schema.format === 'quantity' && typeof value === 'number') return String(value)
    return value
  }
  const wrong = wrongType(value, schema)
  if (wrong)
    throw new JsonTypeError(
      `json: cannot unmarshal ${jsonType(value)} into Go struct field ${goField(path)} of type ${wrong}`,
    )
  if (Array.isArray(value)) {
    const items = schema.items ?? {}
    return value.map((item, i) => decodeTyped(item, items, `${path}[${i}]`, unknown, depth + 1))
  }
  if (!isObject(value) || (schema['x-kubernetes-preserve-unknown-fields'] && !schema.properties)) return value
  const result: JsonObject = {}
  for (const [key, member] of Object.entries(value)) {
    const at = path ? `${path}.${key}` : key
    const memberSchema = propertySchema(schema, key)
    if (!memberSchema) {
      if (schema['x-kubernetes-preserve-unknown-fields'] || schema.type === undefined) result[key] = member
      else unknown.push(at)
      continue
    }
    if (member === null || member === undefined) continue
    const decoded = decodeTyped(member, memberSchema, at, unknown, depth + 1)
    if (!vanishes(decoded, memberSchema)) result[key] = decoded
  }
  return result
}

/** Go names the struct before the path; we know the names by convention only. */
function goField(path: string): string {
  const [first = ''] = path.split('.')
  return path.startsWith('spec.')
    ? `Spec.${path}`
    : path.startsWith('metadata.')
      ? `ObjectMeta.${path}`
      : `${first}.${path}`
}

/** Go's omitempty: empty slices and maps are not written; empty structs (pointers) are. */
function vanishes(value: Json, schema: Schema): boolean {
  if (Array.isArray(value)) return value.length === 0
  return isObject(value) && schema.additionalProperties !== undefined && Object.keys(value).length === 0
}

const GO_TYPES: Record<string, string> = {
  string: 'string',
  boolean: 'bool',
  number: 'float64',
  array: '[]interface {}',
  object: 'map[string]interface {}',
}

function wrongType(value: Json, schema: Schema): string | undefined {
  const go = schema.type === 'integer' ? (schema.format ?? 'int64') : (GO_TYPES[schema.type ?? ''] ?? '')
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'number':
      return typeof value === schema.type ? undefined : go
    case 'integer':
      return Number.isSafeInteger(value) ? undefined : go
    case 'array':
      return Array.isArray(value) ? undefined : go
    case 'object':
      return isObject(value) ? undefined : go
    default:
      return undefined
  }
}

function jsonType(value: Json): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'number' : `number ${value}`
  if (typeof value === 'boolean') return 'bool'
  return Array.isArray(value) ? 'array' : isObject(value) ? 'object' : String(typeof value)
}
