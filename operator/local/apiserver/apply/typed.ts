/**
 * Values seen through their schema, as sigs.k8s.io/structured-merge-diff's typed values do: which fields a value sets,
 * what differs between two, merging and removing by path.
 */
import { equal, isObject, type Json, type JsonObject } from '../json.ts'
import { propertySchema, type Schema } from '../schema.ts'
import { FieldSet, type Path } from './fieldset.ts'

const DEDUCED: Schema = { 'x-kubernetes-preserve-unknown-fields': true }

type Shape = 'leaf' | 'map' | 'list'

/** Maps are granular unless declared atomic, lists atomic unless declared a set or a map, as in a CRD. */
function shapeOf(schema: Schema, value: Json | undefined): Shape {
  if (isObject(value) && (schema.type === 'object' || schema.type === undefined)) {
    return schema['x-kubernetes-map-type'] === 'atomic' ? 'leaf' : 'map'
  }
  const listType = schema['x-kubernetes-list-type']
  return Array.isArray(value) && (listType === 'map' || listType === 'set') ? 'list' : 'leaf'
}

function memberSchema(schema: Schema, key: string): Schema {
  return propertySchema(schema, key) ?? DEDUCED
}

function isStructField(schema: Schema, key: string): boolean {
  return schema.properties !== undefined && Object.hasOwn(schema.properties, key)
}

/** The path element of a list item: its keys (with their defaults) or its value. */
export function listElement(schema: Schema, item: Json): string {
  if (schema['x-kubernetes-list-type'] === 'set') return `v:${JSON.stringify(item)}`
  const keys: JsonObject = {}
  for (const key of [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort()) {
    const value = isObject(item) ? item[key] : undefined
    keys[key] = value ?? schema.items?.properties?.[key]?.default ?? null
  }
  return `k:${JSON.stringify(keys)}`
}

/** All fields that a value sets. */
export function fieldSetOf(value: Json, schema: Schema): FieldSet {
  const set = new FieldSet()
  collect(value, schema, [], set)
  return set
}

function collect(value: Json, schema: Schema, path: Path, set: FieldSet): void {
  const shape = shapeOf(schema, value)
  if (shape === 'map' && isObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue
      const below = [...path, `f:${key}`]
      collect(member, memberSchema(schema, key), below, set)
      const emptyMap = isObject(member) && Object.keys(member).length === 0
      if (member === null || emptyMap || !isStructField(schema, key)) set.insert(below)
    }
  } else if (shape === 'list' && Array.isArray(value)) {
    for (const item of value) {
      const below = [...path, listElement(schema, item)]
      collect(item, schema.items ?? DEDUCED, below, set)
      set.insert(below)
    }
  } else set.insert(path)
}

export type Comparison = { added: FieldSet; modified: FieldSet; removed: FieldSet }

export function compare(before: Json | undefined, after: Json | undefined, schema: Schema): Comparison {
  const comparison = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() }
  walkDifference(before, after, schema, [], comparison)
  return comparison
}

function walkDifference(a: Json | undefined, b: Json | undefined, schema: Schema, path: Path, out: Comparison): void {
  if (a === undefined && b === undefined) return
  const shape = shapeOf(schema, b ?? a)
  const bothEmpty = size(a) === 0 && size(b) === 0
  if (shape === 'leaf' || bothEmpty || (a !== undefined && b !== undefined && shapeOf(schema, a) !== shape)) {
    if (a === undefined) out.added.insert(path)
    else if (b === undefined) out.removed.insert(path)
    else if (!equal(a, b)) out.modified.insert(path)
    return
  }
  const before = entriesOf(a, schema, shape)
  const after = entriesOf(b, schema, shape)
  for (const element of new Set([...before.keys(), ...after.keys()])) {
    const below = shape === 'map' ? memberSchema(schema, element.slice(2)) : (schema.items ?? DEDUCED)
    walkDifference(before.get(element), after.get(element), below, [...path, element], out)
  }
  if (a === undefined) out.added.insert(path)
  else if (b === undefined) out.removed.insert(path)
}

function size(value: Json | undefined): number {
  if (Array.isArray(value)) return value.length
  return isObject(value) ? Object.values(value).filter((member) => member !== undefined).length : value == null ? 0 : 1
}

function entriesOf(value: Json | undefined, schema: Schema, shape: Shape): Map<string, Json> {
  const entries = new Map<string, Json>()
  if (shape === 'list' && Array.isArray(value)) for (const item of value) entries.set(listElement(schema, item), item)
  if (shape === 'map' && isObject(value)) {
    for (const [key, member] of Object.entries(value)) if (member !== undefined) entries.set(`f:${key}`, member)
  }
  return entries
}

/** `config` over `live`: its leaves win, its list items are merged by key and set the order. */
export function merge(live: Json | undefined, config: Json, schema: Schema): Json {
  const shape = shapeOf(schema, config)
  if (live === undefined || shape === 'leaf' || shapeOf(schema, live) !== shape) return config
  if (shape === 'map' && isObject(live) && isObject(config)) {
    const result: JsonObject = { ...live }
    for (const [key, member] of Object.entries(config)) {
      if (member !== undefined) result[key] = merge(live[key], member, memberSchema(schema, key))
    }
    return result
  }
  return mergeList(entriesOf(live, schema, shape), entriesOf(config, schema, shape), schema)
}

function mergeList(live: Map<string, Json>, config: Map<string, Json>, schema: Schema): Json[] {
  const result: Json[] = []
  const waiting = [...config]
  const emitted = new Set<string>()
  const emitNext = () => {
    const next = waiting.shift()
    if (!next) return
    emitted.add(next[0])
    result.push(merge(live.get(next[0]), next[1], schema.items ?? DEDUCED))
  }
  for (const [element, item] of live) {
    if (!config.has(element)) result.push(item)
    else if (!emitted.has(element)) while (!emitted.has(element)) emitNext()
  }
  while (waiting.length > 0) emitNext()
  return result
}

/** The value without the fields and items of the set. */
export function removeItems(value: Json, remove: FieldSet, schema: Schema): Json {
  const shape = shapeOf(schema, value)
  if (shape === 'map' && isObject(value)) {
    const result: JsonObject = {}
    for (const [key, member] of Object.entries(value)) {
      const element = `f:${key}`
      if (member === undefined || remove.members.has(element)) continue
      const below = remove.children.get(element)
      result[key] = below ? removeItems(member, below, memberSchema(schema, key)) : member
    }
    return result
  }
  if (shape === 'list' && Array.isArray(value)) {
    return value.flatMap((item) => {
      const element = listElement(schema, item)
      if (remove.members.has(element)) return []
      const below = remove.children.get(element)
      return [below ? removeItems(item, below, schema.items ?? DEDUCED) : item]
    })
  }
  return value
}

/** What a config that does not fit its schema is refused for, in structured-merge-diff's words. */
export function typedErrors(value: Json, schema: Schema, path = ''): string[] {
  if (value === null || schema['x-kubernetes-int-or-string']) return []
  const expected = mismatch(value, schema)
  if (expected)
    return [
      `${path}: expected ${expected}, got ${Array.isArray(value) ? 'list' : isObject(value) ? 'map' : typeof value}`,
    ]
  if (Array.isArray(value)) return listErrors(value, schema, path)
  if (!isObject(value) || schema['x-kubernetes-map-type'] === 'atomic') return []
  return Object.entries(value).flatMap(([key, member]) => {
    const below = propertySchema(schema, key)
    if (below) return member === undefined ? [] : typedErrors(member, below, `${path}.${key}`)
    const open = schema['x-kubernetes-preserve-unknown-fields'] || schema.type === undefined
    return open ? [] : [`${path}.${key}: field not declared in schema`]
  })
}

function mismatch(value: Json, schema: Schema): string | undefined {
  switch (schema.type) {
    case 'object':
      return isObject(value) ? undefined : 'map'
    case 'array':
      return Array.isArray(value) ? undefined : 'list'
    case 'string':
      return typeof value === 'string' ? undefined : 'string'
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'boolean'
    case 'integer':
    case 'number':
      return typeof value === 'number' ? undefined : 'numeric (int or float)'
    default:
      return undefined
  }
}

function listErrors(value: Json[], schema: Schema, path: string): string[] {
  const listType = schema['x-kubernetes-list-type']
  if (listType !== 'map' && listType !== 'set') return []
  const seen = new Set<string>()
  return value.flatMap((item, i) => {
    if (listType === 'map') {
      for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
        const fallback = schema.items?.properties?.[key]?.default
        if (isObject(item) && item[key] === undefined && fallback === undefined) {
          return [
            `${path}: element ${i}: associative list with keys has an element that omits key field ${JSON.stringify(key)} (and doesn't have default value)`,
          ]
        }
      }
    }
    const element = listElement(schema, item)
    if (seen.has(element)) {
      const text = element.startsWith('v:') ? `[=${element.slice(2)}]` : keysText(element)
      return [`${path}: duplicate entries for key ${text}`]
    }
    seen.add(element)
    return typedErrors(item, schema.items ?? DEDUCED, `${path}${keysText(element)}`)
  })
}

function keysText(element: string): string {
  if (element.startsWith('v:')) return `[=${element.slice(2)}]`
  const keys: unknown = JSON.parse(element.slice(2))
  return `[${Object.entries(keys ?? {})
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`
}
