/**
 * x-kubernetes-validations: CEL rules of a CRD's schema, with Kubernetes' typing of values, its extension functions and
 * its words. The language itself is @marcbachmann/cel-js.
 */
import { Environment, type ParseResult } from '@marcbachmann/cel-js'
import { isObject, type Json, type KubeObject } from '../json.ts'
import { type CelRule, propertySchema, type Schema } from '../schema.ts'
import { type Cause, cause } from '../status-errors.ts'
import { registerKubernetesLibrary } from './cel-library.ts'
import { correlated } from './validate.ts'

const environment = registerKubernetesLibrary(
  new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
    .registerVariable('self', 'dyn')
    .registerVariable('oldSelf', 'dyn'),
)

/** Words that CEL keeps for itself; as field names Kubernetes writes them `__namespace__`. */
const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)

/** Programs by their text; rules are few and their CRDs live long. */
const programs = new Map<string, ParseResult>()
const MAX_PROGRAMS = 5_000

function compile(expression: string): ParseResult {
  const known = programs.get(expression)
  if (known) return known
  // The package's has() takes a chain of names only; ours takes any operand, as CEL does.
  const program = environment.parse(expression.replace(/\bhas\(/g, 'hasField('))
  if (programs.size >= MAX_PROGRAMS) programs.clear()
  programs.set(expression, program)
  return program
}

/** What is wrong with a rule before it is ever run; undefined when it compiles. */
export function compileProblem(expression: string): string | undefined {
  try {
    const checked = compile(expression).check()
    return checked.valid ? undefined : (checked.error?.message ?? 'invalid').split('\n')[0]
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split('\n')[0]
  }
}

/** All violated rules of an object, at every level of its schema. */
export function celCauses(object: KubeObject, schema: Schema, old: KubeObject | undefined): Cause[] {
  const causes: Cause[] = []
  walk(object, schema, '', old, causes)
  return causes
}

function walk(value: Json, schema: Schema, path: string, old: Json | undefined, causes: Cause[]): void {
  if (value === null) return
  for (const rule of schema['x-kubernetes-validations'] ?? []) {
    const found = check(rule, value, schema, path, old)
    if (found) causes.push(found)
  }
  if (Array.isArray(value) && schema.items) {
    const { items } = schema
    for (const [i, item] of value.entries()) {
      walk(item, items, `${path}[${i}]`, correlated(schema, item, old), causes)
    }
  }
  if (!isObject(value)) return
  for (const [key, member] of Object.entries(value)) {
    const below = propertySchema(schema, key)
    if (!below || member === undefined) continue
    const declared = schema.properties !== undefined && Object.hasOwn(schema.properties, key)
    const at = declared ? (path ? `${path}.${key}` : key) : `${path}[${key}]`
    walk(member, below, at, isObject(old) ? old[key] : undefined, causes)
  }
}

function check(rule: CelRule, value: Json, schema: Schema, path: string, old: Json | undefined): Cause | undefined {
  const transition = /\boldSelf\b/.test(rule.rule)
  if (transition && old === undefined && !rule.optionalOldSelf) return undefined
  const self = celValue(value, schema)
  const oldSelf = old === undefined ? undefined : celValue(old, schema)
  const variables = { self, oldSelf: rule.optionalOldSelf ? optional(oldSelf) : oldSelf }
  const where = path || '<nil>'
  try {
    if (compile(rule.rule)(variables) === true) return undefined
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    return violation(
      'FieldValueInvalid',
      where,
      value,
      `${noSuchKey(text)} evaluating rule: ${messageOf(rule, variables)}`,
    )
  }
  const field = rule.fieldPath ? `${path}${rule.fieldPath}`.replace(/^\./, '') : where
  return violation(rule.reason ?? 'FieldValueInvalid', field, value, messageOf(rule, variables))
}

function noSuchKey(text: string): string {
  return text.replace(/^No such key/, 'no such key')
}

function messageOf(rule: CelRule, variables: Record<string, unknown>): string {
  if (rule.messageExpression) {
    try {
      const text = compile(rule.messageExpression)(variables)
      if (typeof text === 'string' && text.trim() && !text.includes('\n')) return text
    } catch {
      // The plain message says it then, as in the real server.
    }
  }
  return rule.message?.trim() || `failed rule: ${rule.rule.trim()}`
}

function violation(reason: string, field: string, value: Json, message: string): Cause {
  switch (reason) {
    case 'FieldValueForbidden':
      return cause.forbidden(field, message)
    case 'FieldValueRequired':
      return cause.required(field, message)
    case 'FieldValueDuplicate':
      return cause.duplicate(field, value)
    default:
      return isObject(value) || Array.isArray(value)
        ? cause.invalidOmitted(field, message)
        : cause.invalid(field, value, message)
  }
}

function optional(value: unknown): unknown {
  return environment.evaluate(value === undefined ? 'optional.none()' : 'optional.of(self)', { self: value })
}

/** A value as its schema types it for CEL: integers are int, date-times timestamps, undeclared fields are not there. */
function celValue(value: Json | undefined, schema: Schema): unknown {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return schema.type === 'number' || !Number.isInteger(value) ? value : BigInt(value)
  if (typeof value === 'string') return celString(value, schema)
  if (Array.isArray(value)) return value.map((item) => celValue(item, schema.items ?? {}))
  if (!isObject(value)) return value
  const result: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(value)) {
    const below = propertySchema(schema, key)
    if (member === undefined || (member === null && !below?.nullable)) continue
    const declared = schema.properties !== undefined && Object.hasOwn(schema.properties, key)
    result[declared ? escapeName(key) : key] = celValue(member, below ?? {})
  }
  return result
}

function celString(value: string, schema: Schema): unknown {
  if (schema.format === 'date-time' || schema.format === 'date') return new Date(value)
  if (schema.format === 'byte') return new Uint8Array(Buffer.from(value, 'base64'))
  if (schema.format === 'duration') return environment.evaluate('duration(self)', { self: value })
  return value
}

function escapeName(name: string): string {
  if (RESERVED.has(name)) return `__${name}__`
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__')
}
