/** PATCH in its four kinds, on an object, its status or its scale. */
import { apply, checkTyped } from './apply/managed.ts'
import { decodeTyped } from './decode.ts'
import { decodeYamlObject, parseJson, parseMediaType } from './http.ts'
import { checkIdentity } from './identity.ts'
import { at, isObject, type Json, type JsonObject, type KubeObject } from './json.ts'
import { type Objects, resourceName, type WriteOptions } from './objects.ts'
import { jsonPatch } from './patch/json-patch.ts'
import { mergePatch } from './patch/merge-patch.ts'
import { strategicMergePatch } from './patch/strategic-merge-patch.ts'
import { apiVersionOf, asObject, type ResourceDefinition, served, storageKey } from './registry.ts'
import { SCALE, scaleOf, withScale } from './scale.ts'
import {
  ApiError,
  badRequest,
  cause,
  conflict,
  invalid,
  notFound,
  unprocessable,
  unsupportedMediaType,
  unsupportedPatchType,
} from './status-errors.ts'

export type PatchRequest = {
  definition: ResourceDefinition
  namespace: string
  name: string
  subresource: string
  contentType: string
  body: string
  force: boolean | undefined
  /** Whether the client named its manager itself; an apply must. */
  namedManager: boolean
  options: WriteOptions
}

const APPLY = 'application/apply-patch+yaml'
const STRATEGIC = 'application/strategic-merge-patch+json'
const MERGE = 'application/merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'

/** @throws ApiError 400, 404, 409, 415, 422 */
export function patchObject(objects: Objects, request: PatchRequest): { object: KubeObject; created: boolean } {
  const { definition, subresource } = request
  const { type } = parseMediaType(request.contentType)
  const accepted = [JSON_PATCH, MERGE, ...(definition.custom ? [] : [STRATEGIC]), APPLY]
  if (!accepted.includes(type)) throw definition.custom ? unsupportedMediaType(accepted) : unsupportedPatchType()
  checkPatchOptions(request, type)
  if (type === APPLY) return applyObject(objects, request)
  const live = objects.get(definition, request.namespace, request.name)
  if (subresource === 'scale') {
    const scale = asObject(patched(SCALE, scaleOf(definition, live), type, request.body))
    const next = withScale(definition, live, scale)
    return {
      object: scaleOf(definition, objects.update(definition, live, next, 'scale', request.options)),
      created: false,
    }
  }
  const raw = patched(definition, live, type, request.body)
  checkIdentity(definition, request.namespace, raw, request.name)
  const next = decodePatched(objects, definition, raw, request.options)
  return { object: objects.update(definition, live, next, subresource, request.options), created: false }
}

/** What a patch made of a built-in object may no longer fit its Go struct: that is a 422 about the patch. */
function decodePatched(
  objects: Objects,
  definition: ResourceDefinition,
  raw: JsonObject,
  options: WriteOptions,
): KubeObject {
  try {
    return objects.decode(definition, raw, options)
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error
    const problem = error.message.replace(/^.* cannot be handled as a [^:]*: /, '')
    throw invalid({ group: '', kind: '' }, '', [cause.invalid('patch', JSON.stringify(raw), problem)])
  }
}

function checkPatchOptions({ force, namedManager }: PatchRequest, type: string): void {
  const of = { group: 'meta.k8s.io', kind: 'PatchOptions' }
  if (type === APPLY && !namedManager)
    throw invalid(of, '', [cause.required('fieldManager', 'is required for apply patch')])
  if (type !== APPLY && force !== undefined)
    throw invalid(of, '', [cause.forbidden('force', 'may not be specified for non-apply patch')])
}

function patched(definition: ResourceDefinition, live: KubeObject, type: string, body: string): JsonObject {
  const patch = parsePatch(body)
  const result =
    type === JSON_PATCH
      ? jsonPatch(live, patch)
      : type === MERGE
        ? mergePatch(live, patch)
        : strategicMergePatch(live, patch, definition.schema)
  if (!isObject(result)) throw unprocessable()
  return result
}

function parsePatch(body: string): Json {
  const patch = parseJson(body, 'Patch')
  if (typeof patch !== 'object' || patch === null)
    throw badRequest('error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}')
  return patch
}

function applyObject(objects: Objects, request: PatchRequest): { object: KubeObject; created: boolean } {
  const { definition, namespace, name, subresource, options } = request
  const raw = decodeYamlObject(request.body, definition.kind)
  if (subresource === 'scale') return applyScale(objects, request, raw)
  const config = appliedConfig(definition, raw, namespace, name)
  const stored = objects.storage.get(definition.bucket, storageKey(namespace, name))
  if (!stored && subresource) throw notFound({ group: definition.group, resource: definition.plural }, name)
  const live = stored && served(definition, stored)
  if (config.metadata.uid) checkUid(definition, name, config.metadata.uid, live)
  if (live) objects.checkPreconditions(definition, live, config.metadata)
  const merged = apply(live, config, objects.managerOf(definition, subresource, options), request.force === true)
  const next = objects.decode(definition, merged, { fieldValidation: 'Ignore', warnings: [] })
  if (!live && at(raw, 'metadata', 'name') === undefined) {
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`)
  }
  if (!live) return { object: objects.createApplied(definition, namespace, next, options), created: true }
  return { object: objects.finish(definition, live, next, subresource, options), created: false }
}

/** Whoever names a uid means that object and no other. @throws ApiError 409 where there is none, 422 */
function checkUid(definition: ResourceDefinition, name: string, uid: string, live: KubeObject | undefined): void {
  if (!live) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`
    throw conflict(resourceName(definition), name, why)
  }
  if (live.metadata.uid !== uid) {
    throw invalid(definition, name, [cause.invalid('metadata.uid', uid, 'field is immutable')])
  }
}

/** The body of an apply as a typed config of this very object. @throws ApiError 400, 500 */
function appliedConfig(definition: ResourceDefinition, raw: JsonObject, namespace: string, name: string): KubeObject {
  if (!raw.apiVersion || !raw.kind)
    throw badRequest(`invalid object type: ${raw.apiVersion ?? '/'}, Kind=${raw.kind ?? ''}`)
  checkIdentity(definition, namespace, raw, name)
  const metadata = isObject(raw.metadata) ? raw.metadata : {}
  if (Array.isArray(metadata.managedFields) && metadata.managedFields.length > 0)
    throw badRequest('metadata.managedFields must be nil')
  const config = asObject({
    ...raw,
    apiVersion: apiVersionOf(definition),
    kind: definition.kind,
    metadata: { ...metadata, name, ...(namespace && { namespace }) },
  })
  checkTyped(raw, definition.schema, definition)
  return definition.custom ? config : asObject(decodeTyped(config, definition.schema, '', []) as JsonObject)
}

function applyScale(
  objects: Objects,
  { definition, namespace, name, force, options }: PatchRequest,
  raw: JsonObject,
): { object: KubeObject; created: boolean } {
  const live = objects.get(definition, namespace, name)
  const scale = appliedConfig(SCALE, raw, namespace, name)
  const { apiVersion, kind, metadata } = live
  const config = withScale(
    definition,
    { apiVersion, kind, metadata: { name: metadata.name, ...(namespace && { namespace }) } },
    scale,
  )
  const merged = apply(live, config, objects.managerOf(definition, 'scale', options), force === true)
  return { object: scaleOf(definition, objects.finish(definition, live, merged, 'scale', options)), created: false }
}
