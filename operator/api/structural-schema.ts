/**
 * zod → the structural OpenAPI v3 schema of a CRD (apiextensions/v1 JSONSchemaProps): no additionalProperties: false
 * (pruning does that), no $schema, int-or-string by extension, formats as Kubernetes names them.
 */

import { z } from 'zod'

export type Schema = Record<string, unknown>

/** @param schema everything in it has bounds; its metas carry descriptions and x-kubernetes-* extensions */
export function structuralSchema(schema: z.ZodType): Schema {
  const json = z.toJSONSchema(schema, { io: 'input', target: 'openapi-3.0', reused: 'inline' })
  return structural(json as Schema)
}

/** In this order in the YAML; what is not named follows. */
const ORDER = ['description', 'type', 'format', 'default', 'enum', 'pattern', 'minLength', 'maxLength', 'required']

function structural(node: Schema): Schema {
  const { $schema, additionalProperties, quantity, ...rest } = node
  const result: Schema = {}
  for (const [key, value] of Object.entries(rest)) {
    if (key === 'properties' && isSchema(value)) {
      result.properties = Object.fromEntries(
        Object.entries(value).map(([name, property]) => [name, structural(asSchema(property))]),
      )
    } else if (key === 'items') result.items = structural(asSchema(value))
    else if (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) continue
    else if (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) continue
    else if (key === 'default') result.default = value
    else if (key !== 'propertyNames') result[key] = value
  }
  if (isSchema(additionalProperties)) result.additionalProperties = structural(additionalProperties)
  // Core's own form of a quantity; a maximal length keeps CEL's cost estimate finite.
  if (quantity) {
    result.anyOf = [{ type: 'integer' }, { type: 'string' }]
    result.pattern = '^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$'
  }
  if (result.type === 'integer') result.format = 'int64'
  // The API server checks a default against CEL rules before it fills in the defaults inside: spell them out.
  if (isSchema(result.default)) result.default = filledIn(result.default, result)
  return sorted(result)
}

function sorted(node: Schema): Schema {
  const rank = (key: string) => (ORDER.includes(key) ? ORDER.indexOf(key) : key === 'properties' ? 99 : ORDER.length)
  return Object.fromEntries(Object.entries(node).sort(([a], [b]) => rank(a) - rank(b)))
}

function filledIn(value: Schema, schema: Schema): Schema {
  const filled: Schema = { ...value }
  for (const [name, property] of Object.entries(isSchema(schema.properties) ? schema.properties : {})) {
    const fallback = isSchema(property) ? property.default : undefined
    const given = filled[name] ?? fallback
    if (given === undefined) continue
    filled[name] = isSchema(given) && isSchema(property) ? filledIn(given, property) : given
  }
  return filled
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asSchema(value: unknown): Schema {
  if (!isSchema(value)) throw new TypeError(`not a schema: ${JSON.stringify(value)}`)
  return value
}
