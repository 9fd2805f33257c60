/** One request for objects, and what its query says. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { JsonObject, KubeObject } from './json.ts'
import type { Continuations } from './list-requests.ts'
import type { Objects } from './objects.ts'
import type { Registry, ResourceDefinition } from './registry.ts'
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from './selectors.ts'
import type { IncludeObject } from './table.ts'

export type Address = {
  group: string
  version: string
  namespace: string
  plural: string
  name: string
  subresource: string
}
export type Server = {
  objects: Objects
  registry: Registry
  now: () => Date
  closing: AbortSignal
  continues: Continuations
}

export type Call = {
  server: Server
  request: IncomingMessage
  response: ServerResponse
  definition: ResourceDefinition
  address: Address
  query: URLSearchParams
}
export function includeObject(query: URLSearchParams): IncludeObject {
  const asked = query.get('includeObject')
  return asked === 'None' || asked === 'Object' ? asked : 'Metadata'
}

export function matcher({ definition, query, address }: Call): (object: KubeObject) => boolean {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '')
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', definition.selectableFields)
  return (object) =>
    matchesLabels(labels, object.metadata.labels) &&
    matchesFields(fields, object) &&
    (address.name === '' || object.metadata.name === address.name)
}

export function isWatch(query: URLSearchParams): boolean {
  return query.has('watch') && query.get('watch') !== 'false' && query.get('watch') !== '0'
}

/** Items of built-in lists carry no kind of their own, those of custom resources do. */
export function listItem(definition: ResourceDefinition, object: KubeObject): JsonObject {
  if (definition.custom) return object
  const { apiVersion: _version, kind: _kind, ...rest } = object
  return rest
}
