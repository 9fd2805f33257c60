/** Pruning and defaulting by a structural schema: k8s.io/apiextensions-apiserver pkg/apiserver/schema. */
import { clone, isObject, type Json, type JsonObject } from '../json.ts'
import { propertySchema, type Schema } from '../schema.ts'

/** A copy without the fields that the schema does not know; their paths go to `unknown`. */
export function prune(value: Json, schema: Schema, path: string, unknown: string[]): Json {
  if (Array.isArray(value)) {
    const { items } = schema
    if (!items) return value
    return value.map((item, i) => prune(item, items, `${path}[${i}]`, unknown))
  }
  if (!isObject(value)) return value
  const result: JsonObject = {}
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    const at = path ? `${path}.${key}` : key
    const below = propertySchema(schema, key)
    if (below) result[key] = prune(member, below, at, unknown)
    else if (schema['x-kubernetes-preserve-unknown-fields'] || schema.additionalProperties === true)
      result[key] = member
    else unknown.push(at)
  }
  return result
}

/** A copy with defaults filled in. A null that may not be one is an absent field, so it gets its default too. */
export function applyDefaults(value: Json, schema: Schema): Json {
  if (Array.isArray(value)) {
    const { items } = schema
    return items ? value.map((item) => applyDefaults(item, items)) : value
  }
  if (!isObject(value)) return value
  const result: JsonObject = { ...value }
  for (const [key, below] of Object.entries(schema.properties ?? {})) {
    const absent = !Object.hasOwn(result, key) || result[key] === undefined
    const forbiddenNull = result[key] === null && !below.nullable
    if (below.default !== undefined && (absent || forbiddenNull)) result[key] = clone(below.default)
  }
  for (const [key, member] of Object.entries(result)) {
    const below = propertySchema(schema, key)
    if (below && member !== undefined) result[key] = applyDefaults(member, below)
  }
  return result
}
