/** OpenAPI v3 and v2 of what is served: kubectl reads them for explain and to learn what a server can do. */
import { createHash } from 'node:crypto'
import { isObject, type Json, type JsonObject } from './json.ts'
import type { Registry, ResourceDefinition } from './registry.ts'
import { objectMeta, type Schema } from './schema.ts'

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

function pathOf({ group, version }: { group: string; version: string }): string {
  return group ? `apis/${group}/${version}` : `api/${version}`
}

function schemaName({ group, version, kind, custom }: ResourceDefinition): string {
  if (custom) return `${group.split('.').reverse().join('.')}.${version}.${kind}`
  return `io.k8s.api.${group.split('.')[0] || 'core'}.${version}.${kind}`
}

/** OpenAPI documents by path, made anew when the registry has changed. */
export class OpenApi {
  #registry: Registry
  #made = -1
  #documents = new Map<string, { text: string; hash: string }>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** /openapi/v3: where each group version's document is; its hash lets clients cache it. */
  index(): JsonObject {
    const paths = [...this.#current()].map(([path, { hash }]) => [
      path,
      { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` },
    ])
    return { paths: Object.fromEntries(paths) }
  }

  document(path: string): string | undefined {
    return this.#current().get(path)?.text
  }

  /** /openapi/v2 as JSON; the protobuf form is refused with 406, upon which clients do without. */
  v2(): JsonObject {
    const definitions: JsonObject = { [META]: exported(objectMeta, '#/definitions/', true) }
    for (const definition of this.#registry.all())
      definitions[schemaName(definition)] = kindSchema(definition, '#/definitions/')
    return { swagger: '2.0', info: { title: 'Kubernetes', version: 'v1.36.0' }, paths: {}, definitions }
  }

  #current(): Map<string, { text: string; hash: string }> {
    if (this.#made === this.#registry.changes) return this.#documents
    const groups = Map.groupBy(this.#registry.all(), pathOf)
    this.#documents = new Map(
      [...groups].map(([path, definitions]) => {
        const text = JSON.stringify(documentOf(path, definitions))
        return [path, { text, hash: createHash('sha256').update(text).digest('hex').toUpperCase() }]
      }),
    )
    this.#made = this.#registry.changes
    return this.#documents
  }
}

function documentOf(path: string, definitions: ResourceDefinition[]): JsonObject {
  const schemas: JsonObject = { [META]: exported(objectMeta, '#/components/schemas/', true) }
  const paths: JsonObject = {}
  for (const definition of definitions) {
    const name = schemaName(definition)
    schemas[name] = kindSchema(definition, '#/components/schemas/')
    const collection = `/${path}/${definition.namespaced ? 'namespaces/{namespace}/' : ''}${definition.plural}`
    paths[collection] = {
      get: operation(definition, 'list', []),
      post: operation(definition, 'post', WRITE_PARAMETERS),
    }
    paths[`${collection}/{name}`] = {
      get: operation(definition, 'get', []),
      put: operation(definition, 'put', WRITE_PARAMETERS),
      patch: operation(definition, 'patch', [...WRITE_PARAMETERS, parameter('force', 'boolean')]),
      delete: operation(definition, 'delete', [parameter('dryRun', 'string')]),
    }
    if (definition.namespaced) paths[`/${path}/${definition.plural}`] = { get: operation(definition, 'list', []) }
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'v1.36.0' }, paths, components: { schemas } }
}

const parameter = (name: string, type: string): JsonObject => ({
  name,
  in: 'query',
  schema: { type, uniqueItems: true },
})
const WRITE_PARAMETERS = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => parameter(name, 'string'))

function gvk({ group, version, kind }: ResourceDefinition): JsonObject {
  return { group, version, kind }
}

function operation(definition: ResourceDefinition, action: string, parameters: JsonObject[]): JsonObject {
  return {
    operationId: `${action}${definition.version}${definition.kind}`,
    parameters,
    responses: { 200: { description: 'OK' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk(definition),
  }
}

function kindSchema(definition: ResourceDefinition, prefix: string): JsonObject {
  const schema = exported(definition.schema, prefix)
  return { ...schema, 'x-kubernetes-group-version-kind': [gvk(definition)] }
}

/** Our builders' shorthands written out. `top` expands ObjectMeta itself, which is a reference elsewhere. */
function exported(schema: Schema, prefix: string, top = false): JsonObject {
  if (schema === objectMeta && !top)
    return { description: "Standard object's metadata.", allOf: [{ $ref: prefix + META }], default: {} }
  if (schema.format === 'quantity')
    return { oneOf: [{ type: 'string' }, { type: 'number' }], description: 'Quantity is a fixed-point number.' }
  const result: JsonObject = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties' && isObject(value)) {
      result.properties = Object.fromEntries(
        Object.entries(value).map(([name, below]) => [name, exported(below as Schema, prefix)]),
      )
    } else if ((key === 'items' || key === 'additionalProperties') && isObject(value as Json)) {
      result[key] = exported(value as Schema, prefix)
    } else result[key] = value as Json
  }
  if (schema['x-kubernetes-int-or-string'] && schema.format === undefined) result.format = 'int-or-string'
  return result
}
