import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Address, type Call, includeObject, isWatch, listItem, matcher, type Server } from './call.ts'
import { decodeObject, negotiate, readBody, send } from './http.ts'
import { checkIdentity } from './identity.ts'
import { at, clone, isObject, type KubeObject } from './json.ts'
import { list, watch } from './list-requests.ts'
import { type DeleteOptions, resourceName, type WriteOptions } from './objects.ts'
import { patchObject } from './patching.ts'
import { apiVersionOf, asObject, served, storageKey } from './registry.ts'
import { SCALE, scaleOf, withScale } from './scale.ts'
import * as errors from './status-errors.ts'
import { partialMetadata, tableOf } from './table.ts'

/** /api/v1/… or /apis/GROUP/VERSION/…; undefined when it is no resource's address. */
export function parseAddress(path: string): Address | undefined {
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent)
  const [root, ...rest] = parts
  const [group, version, ...tail] = root === 'api' ? ['', ...rest] : rest
  if ((root !== 'api' && root !== 'apis') || group === undefined || version === undefined || tail.length === 0)
    return undefined
  const scoped =
    tail[0] === 'namespaces' &&
    tail.length > 2 &&
    !(tail.length === 3 && ['status', 'finalize'].includes(tail[2] ?? ''))
  const [plural = '', name = '', subresource = '', ...more] = scoped ? tail.slice(2) : tail
  if (more.length > 0) return undefined
  return { group, version, namespace: scoped ? (tail[1] ?? '') : '', plural, name, subresource }
}

export async function serveResource(
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
  address: Address,
  query: URLSearchParams,
): Promise<void> {
  const { group, version, plural, name, subresource, namespace } = address
  const definition = server.registry.find(group, version, plural)
  if (!definition || (namespace && !definition.namespaced)) throw errors.unknownPath()
  const known =
    subresource === '' ||
    (subresource === 'status' && definition.status) ||
    (subresource === 'scale' && definition.scale) ||
    (subresource === 'finalize' && definition.bucket === 'namespaces')
  if (!known || (name && definition.namespaced && !namespace)) throw errors.unknownPath()
  const call: Call = { server, request, response, definition, address, query }
  const handler = (name ? NAMED : COLLECTION)[request.method ?? 'GET']
  if (!handler || (definition.review && request.method !== 'POST')) throw errors.methodNotAllowed()
  await handler(call)
}

type Handler = (call: Call) => Promise<void> | void

const COLLECTION: Record<string, Handler> = { GET: listOrWatch, POST: create, DELETE: deleteCollection }
const NAMED: Record<string, Handler> = { GET: read, PUT: replace, PATCH: patch, DELETE: remove }

function writeOptions({ request, query, server: _server }: Call): WriteOptions {
  const dryRun = query.getAll('dryRun').filter(Boolean)
  if (dryRun.some((value) => value !== 'All')) {
    throw errors.invalid({ group: 'meta.k8s.io', kind: 'CreateOptions' }, '', [
      errors.cause.notSupported('dryRun', dryRun, ['All']),
    ])
  }
  const fieldValidation = query.get('fieldValidation') || 'Warn'
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    throw errors.invalid({ group: 'meta.k8s.io', kind: 'CreateOptions' }, '', [
      errors.cause.notSupported('fieldValidation', fieldValidation, ['', 'Ignore', 'Strict', 'Warn']),
    ])
  }
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0] || 'unknown'
  return {
    dryRun: dryRun.length > 0,
    fieldManager: (query.get('fieldManager') || agent).slice(0, 128),
    fieldValidation,
    warnings: [],
  }
}

function warningHeaders({ warnings }: { warnings: string[] }): Record<string, string | string[]> {
  return warnings.length > 0 ? { Warning: warnings.slice(0, 20).map((text) => `299 - ${JSON.stringify(text)}`) } : {}
}

/** One object in the form that the client asked for. */
function answer(
  { server, request, response, definition, query, address }: Call,
  code: number,
  object: KubeObject,
  headers: Record<string, string | string[]> = {},
): void {
  const form = negotiate(request.headers.accept)
  if (form === 'table' && address.subresource !== 'scale') {
    const { resourceVersion } = object.metadata
    send(
      response,
      code,
      tableOf(
        definition.columns,
        [object],
        { ...(resourceVersion && { resourceVersion }) },
        includeObject(query),
        server.now(),
      ),
      headers,
    )
  } else if (form === 'metadata') send(response, code, partialMetadata(object), headers)
  else send(response, code, object, headers, form === 'yaml')
}

function listOrWatch(call: Call): void {
  if (isWatch(call.query)) watch(call)
  else list(call)
}

function read(call: Call): void {
  const { server, definition, address, query } = call
  if (isWatch(query)) {
    watch(call)
    return
  }
  const object = server.objects.get(definition, address.namespace, address.name)
  answer(call, 200, address.subresource === 'scale' ? scaleOf(definition, object) : object)
}

async function create(call: Call): Promise<void> {
  const { server, request, response, definition, address } = call
  negotiate(request.headers.accept)
  const raw = decodeObject(await readBody(request), request.headers['content-type'], definition.kind)
  const options = writeOptions(call)
  if (definition.review) {
    send(response, 201, definition.review(server.objects.decode(definition, raw, options)))
    return
  }
  if (definition.namespaced && !address.namespace) throw errors.methodNotAllowed()
  const object = server.objects.create(definition, address.namespace, raw, options)
  answer(call, 201, object, warningHeaders(options))
}

async function replace(call: Call): Promise<void> {
  const { server, request, definition, address } = call
  negotiate(request.headers.accept)
  const raw = decodeObject(await readBody(request), request.headers['content-type'], definition.kind)
  const options = writeOptions(call)
  const { namespace, name, subresource } = address
  const { objects } = server
  const missing =
    definition.createOnUpdate && !subresource && !objects.storage.get(definition.bucket, storageKey(namespace, name))
  if (missing) {
    checkIdentity(definition, namespace, raw, name)
    const metadata = { ...(isObject(raw.metadata) && raw.metadata), name }
    answer(call, 201, objects.create(definition, namespace, { ...raw, metadata }, options), warningHeaders(options))
  } else if (subresource === 'scale') {
    const live = objects.get(definition, namespace, name)
    const next = withScale(definition, live, objects.decode(SCALE, raw, options))
    answer(call, 200, scaleOf(definition, objects.update(definition, live, next, 'scale', options)))
  } else if (subresource === 'finalize') {
    const live = objects.get(definition, namespace, name)
    objects.amend(definition.bucket, name, (next) => {
      next.spec = { finalizers: at(raw, 'spec', 'finalizers') ?? [] }
    })
    answer(call, 200, live)
  } else
    answer(call, 200, objects.replace(definition, namespace, name, raw, subresource, options), warningHeaders(options))
}

async function patch(call: Call): Promise<void> {
  const { server, request, definition, address, query } = call
  negotiate(request.headers.accept)
  const body = (await readBody(request)).toString('utf8')
  const options = writeOptions(call)
  const { object, created } = patchObject(server.objects, {
    definition,
    namespace: address.namespace,
    name: address.name,
    subresource: address.subresource,
    contentType: request.headers['content-type'] ?? '',
    body,
    force: query.has('force') ? query.get('force') === 'true' : undefined,
    namedManager: Boolean(query.get('fieldManager')),
    options,
  })
  answer(call, created ? 201 : 200, object, warningHeaders(options))
}

const PRESERVED =
  'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning'

async function deleteOptions({ request, query, definition }: Call): Promise<DeleteOptions & { warnings: string[] }> {
  const text = await readBody(request)
  const body = text.length > 0 ? decodeObject(text, request.headers['content-type'], 'DeleteOptions') : {}
  const orphans = body.orphanDependents ?? definition.orphans
  const asked = body.propagationPolicy ?? query.get('propagationPolicy')
  const policy = asked ?? (orphans === true ? 'Orphan' : 'Background')
  if (policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw errors.invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
      errors.cause.notSupported('propagationPolicy', policy, ['Foreground', 'Background', 'Orphan', 'nil']),
    ])
  }
  const { preconditions } = body
  const dryRun = query.get('dryRun') === 'All' || (Array.isArray(body.dryRun) && body.dryRun.includes('All'))
  return {
    dryRun,
    propagationPolicy: policy,
    preconditions: isObject(preconditions) ? (preconditions as DeleteOptions['preconditions']) : {},
    warnings: definition.orphans && !asked && body.orphanDependents === undefined ? [PRESERVED] : [],
  }
}

async function remove(call: Call): Promise<void> {
  const { server, response, definition, address } = call
  if (address.subresource) throw errors.methodNotAllowed()
  const options = await deleteOptions(call)
  const { object, gone } = server.objects.delete(definition, address.namespace, address.name, options)
  if (!gone) return answer(call, 200, object, warningHeaders(options))
  const { group, resource } = resourceName(definition)
  const { name, uid } = object.metadata
  const details = { name, ...(group && { group }), kind: resource, ...(uid && { uid }) }
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
  send(response, 200, status, warningHeaders(options))
}

async function deleteCollection(call: Call): Promise<void> {
  const { server, response, definition, address } = call
  if (definition.namespaced && !address.namespace) throw errors.methodNotAllowed()
  const options = await deleteOptions(call)
  const { storage } = server.objects
  const doomed = storage
    .list(definition.bucket, address.namespace)
    .filter((object) => matcher(call)(served(definition, object)))
  const items = doomed.map(({ metadata }) =>
    clone(asObject(server.objects.delete(definition, metadata.namespace ?? '', metadata.name, options).object)),
  )
  const metadata = { resourceVersion: String(storage.revision) }
  const answered = {
    kind: definition.listKind,
    apiVersion: apiVersionOf(definition),
    metadata,
    items: items.map((object) => listItem(definition, object)),
  }
  send(response, 200, answered, warningHeaders(options))
}
