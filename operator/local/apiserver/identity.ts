/** A body must be of the kind, name and namespace that its address says. */
import { at, type JsonObject } from './json.ts'
import { apiVersionOf, type ResourceDefinition } from './registry.ts'
import { badRequest } from './status-errors.ts'

/** @param name undefined for a create, where the body names the object. @throws ApiError 400 */
export function checkIdentity(
  definition: ResourceDefinition,
  namespace: string,
  raw: JsonObject,
  name: string | undefined,
): void {
  checkKind(definition, raw)
  const bodyName = at(raw, 'metadata', 'name')
  if (name !== undefined && bodyName !== undefined && bodyName !== name) {
    throw badRequest(`the name of the object (${bodyName}) does not match the name on the URL (${name})`)
  }
  const bodyNamespace = at(raw, 'metadata', 'namespace')
  if (bodyNamespace !== undefined && bodyNamespace !== '' && bodyNamespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
}

function checkKind(definition: ResourceDefinition, raw: JsonObject): void {
  const expected = apiVersionOf(definition)
  const { apiVersion = expected, kind = definition.kind } = raw
  if ((apiVersion === expected || apiVersion === '') && (kind === definition.kind || kind === '')) return
  if (definition.custom) {
    if (apiVersion !== expected)
      throw badRequest(
        `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
      )
    throw badRequest(`the kind in the data (${kind}) does not match the expected kind (${definition.kind})`)
  }
  const version = String(apiVersion).split('/').at(-1)
  const group = definition.group.split('.')[0] || 'core'
  const why =
    apiVersion !== expected
      ? `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`
      : `converting (${version}.${kind}) to (${group}.${definition.kind}): unknown conversion`
  throw badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${definition.kind}: ${why}`)
}
