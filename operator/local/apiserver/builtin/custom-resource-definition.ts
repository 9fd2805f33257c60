/** CustomResourceDefinition itself (apiextensions/v1): its schema, defaults, and what it refuses. */

import { compileProblem } from '../crd/cel.ts'
import { at, isObject, type Json, type JsonObject, type KubeObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  anything,
  boolean,
  conditions,
  integer,
  list,
  long,
  type Schema,
  string,
  struct,
  topLevel,
  withDefault,
} from '../schema.ts'
import { type Cause, cause } from '../status-errors.ts'

const names = struct({
  'plural!': string,
  singular: string,
  'kind!': string,
  listKind: string,
  shortNames: list(string),
  categories: list(string),
})

export const customResourceDefinition: Schema = topLevel(
  {
    'spec!': struct({
      'group!': string,
      'names!': names,
      'scope!': { type: 'string', enum: ['Cluster', 'Namespaced'] },
      preserveUnknownFields: boolean,
      conversion: struct({ strategy: withDefault(string, 'None'), webhook: anything }),
      'versions!': list(
        struct({
          'name!': string,
          'served!': boolean,
          'storage!': boolean,
          deprecated: boolean,
          deprecationWarning: string,
          schema: struct({ openAPIV3Schema: anything }),
          subresources: struct({
            status: struct({}),
            scale: struct({ 'specReplicasPath!': string, 'statusReplicasPath!': string, labelSelectorPath: string }),
          }),
          additionalPrinterColumns: list(
            struct({
              'name!': string,
              'type!': string,
              format: string,
              description: string,
              priority: integer,
              'jsonPath!': string,
            }),
          ),
          selectableFields: list(struct({ 'jsonPath!': string })),
        }),
      ),
    }),
    status: struct({ conditions, acceptedNames: names, storedVersions: list(string), observedGeneration: long }),
  },
  'CustomResourceDefinition represents a resource that should be exposed on the API server.',
)

export const customResourceDefinitionHooks: Hooks = {
  setDefaults: (object) => {
    const named = at(object, 'spec', 'names')
    if (isObject(named) && typeof named.kind === 'string') {
      named.singular ??= named.kind.toLowerCase()
      named.listKind ??= `${named.kind}List`
    }
    if (isObject(object.spec)) object.spec.conversion ??= { strategy: 'None' }
  },
  prepareCreate: (object) => {
    const stored = versionsOf(object)
      .filter((version) => version.storage)
      .map((version) => String(version.name))
    object.status = { storedVersions: stored, conditions: [], acceptedNames: { plural: '', kind: '' } }
  },
  validate: (object) => {
    const [group, plural] = [at(object, 'spec', 'group'), at(object, 'spec', 'names', 'plural')]
    const causes: Cause[] = []
    if (object.metadata.name !== `${plural}.${group}`) {
      causes.push(cause.invalid('metadata.name', object.metadata.name, `must be spec.names.plural+"."+spec.group`))
    }
    const stored = versionsOf(object).filter((version) => version.storage)
    if (stored.length !== 1)
      causes.push(cause.invalidOmitted('spec.versions', 'must have exactly one version marked as storage version'))
    versionsOf(object).forEach((version, i) => {
      const schema = at(version, 'schema', 'openAPIV3Schema')
      const path =
        versionsOf(object).length === 1
          ? 'spec.validation.openAPIV3Schema'
          : `spec.versions[${i}].schema.openAPIV3Schema`
      if (schema === undefined) causes.push(cause.required(path, 'schemas are required'))
      else structuralCauses(schema, path, causes, 0)
    })
    return causes.slice(0, 50)
  },
}

export function versionsOf(object: KubeObject): JsonObject[] {
  const versions = at(object, 'spec', 'versions')
  return Array.isArray(versions) ? versions.filter(isObject) : []
}

/** What makes a schema structural, and rules that do not compile. */
function structuralCauses(schema: Json, path: string, causes: Cause[], depth: number): void {
  if (!isObject(schema) || depth > 100) return
  const typed = schema.type || schema['x-kubernetes-int-or-string'] || schema['x-kubernetes-preserve-unknown-fields']
  if (!typed)
    causes.push(
      cause.required(
        `${path}.type`,
        depth === 0 ? 'must not be empty at the root' : 'must not be empty for specified object fields',
      ),
    )
  if (depth === 0 && schema.type && schema.type !== 'object')
    causes.push(cause.invalid(`${path}.type`, schema.type, 'must be object at the root'))
  if (schema.type === 'array' && !schema.items) causes.push(cause.required(`${path}.items`, 'must be specified'))
  const rules = schema['x-kubernetes-validations']
  for (const [i, rule] of (Array.isArray(rules) ? rules : []).entries()) {
    const text = at(rule, 'rule')
    const problem = typeof text === 'string' ? compileProblem(text) : undefined
    if (problem)
      causes.push(
        cause.invalid(
          `${path}.x-kubernetes-validations[${i}].rule`,
          text,
          `compilation failed: ERROR: <input>:1:1: ${problem}`,
        ),
      )
  }
  if (isObject(schema.properties)) {
    for (const [key, below] of Object.entries(schema.properties))
      structuralCauses(below ?? null, `${path}.properties[${key}]`, causes, depth + 1)
  }
  if (isObject(schema.additionalProperties))
    structuralCauses(schema.additionalProperties, `${path}.additionalProperties`, causes, depth + 1)
  if (isObject(schema.items)) structuralCauses(schema.items, `${path}.items`, causes, depth + 1)
}
