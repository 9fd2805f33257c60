/**
 * The Kubernetes API, one method per verb: raw JSON in and out. What the generated client of @kubernetes/client-node
 * would drop from an object (fields it does not know), server-side apply would take as "I no longer own this".
 */

import type { KubeConfig } from '@kubernetes/client-node'
import { openConnection } from './connection.ts'
import { createDiscovery } from './discovery.ts'
import { isKubeError } from './errors.ts'
import type { Fence } from './fence.ts'
import type { KubeMetrics } from './metrics.ts'
import { createRateLimit } from './rate-limit.ts'
import { type ApiRequest, createRequester } from './requester.ts'
import { apiVersionOf, keyOf, resourcePath } from './resources.ts'
import type { Json, KubeClient, KubeObject, ListOptions, ObjectKey, Resource } from './types.ts'
import { openWatch, type Watcher } from './watch.ts'

export { loadKubeConfig } from './connection.ts'

/** Objects per page of a list; fewer where they are large. */
const PAGE = 500
const DEADLINE_MS = 30_000

export interface KubeClientOptions {
  /** For its current context's server and credentials only. */
  kubeConfig: KubeConfig
  /** "mail-operator/0.1.0": what the API server's audit log calls us. */
  userAgent: string
  metrics?: KubeMetrics
  /** Calls per second in the long run, and at once after a pause. Default 50 and 100. */
  qps?: number
  burst?: number
  /** Asked before every attempt of a write. Default: everything may be written. */
  fence?: Fence
  /** For one attempt of one call; watches only until their first byte. Default 30 s. */
  deadlineMs?: number
}

/** A client that can also watch, and that must be closed. */
export interface KubeApi extends KubeClient, Watcher, AsyncDisposable {}

/**
 * Opens no connection by itself.
 * @throws Error when the KubeConfig's context is unusable
 */
export function createKubeClient(options: KubeClientOptions): KubeApi {
  const connection = openConnection(options.kubeConfig)
  const closing = new AbortController()
  const requester = createRequester({
    connection,
    rateLimit: createRateLimit(options.qps ?? 50, options.burst ?? 100),
    userAgent: options.userAgent,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS,
    metrics: options.metrics,
    fence: options.fence,
    closed: closing.signal,
  })
  const discover = createDiscovery((path) =>
    requester.send({ method: 'GET', path, call: `get ${path}`, verb: 'get', idempotent: true }),
  )

  /** Sends a call about one object or collection and answers the object. */
  async function send<T>(
    resource: Resource,
    verb: string,
    request: Pick<ApiRequest, 'method' | 'path' | 'idempotent'> & {
      body?: unknown
      contentType?: string
      of?: ObjectKey
    },
  ): Promise<T> {
    const { body, of, ...rest } = request
    const name = of ? ` ${of.namespace ? `${of.namespace}/` : ''}${of.name}` : ''
    const call: ApiRequest = { ...rest, verb, call: `${verb} ${resource.plural}${name}` }
    if (body !== undefined) call.body = JSON.stringify(body)
    if (resource.kind === 'Secret') call.secret = true
    return (await requester.send(call)) as T
  }

  async function get<T extends KubeObject>(resource: Resource, key: ObjectKey): Promise<T> {
    return send(resource, 'get', { method: 'GET', path: resourcePath(resource, key), idempotent: true, of: key })
  }

  const client: KubeApi = {
    get,
    discover,

    async find<T extends KubeObject>(resource: Resource, key: ObjectKey) {
      try {
        return await get<T>(resource, key)
      } catch (error) {
        if (isKubeError(error, 'NotFound')) return undefined
        throw error
      }
    },

    async list<T extends KubeObject>(
      resource: Resource,
      listOptions: ListOptions = {},
      transform: (object: T) => T = (object) => object,
    ) {
      try {
        return await listPages<T>(resource, listOptions, transform, PAGE)
      } catch (error) {
        // The snapshot behind the continue token was compacted away: once more, in one piece.
        if (isKubeError(error, 'Gone')) return await listPages<T>(resource, listOptions, transform, undefined)
        throw error
      }
    },

    async create<T extends KubeObject>(resource: Resource, object: KubeObject) {
      const path = resourcePath(resource, { namespace: object.metadata.namespace })
      return send<T>(resource, 'create', { method: 'POST', path, body: object, idempotent: false, of: keyOf(object) })
    },

    async replace<T extends KubeObject>(resource: Resource, object: KubeObject, subresource?: 'status' | 'scale') {
      const of = keyOf(object)
      const path = resourcePath(resource, of, subresource)
      return send<T>(resource, 'update', { method: 'PUT', path, body: object, idempotent: true, of })
    },

    async apply<T extends KubeObject>(
      resource: Resource,
      object: KubeObject,
      applyOptions: { fieldManager: string; force?: boolean; subresource?: 'status'; dryRun?: boolean },
    ) {
      const of = keyOf(object)
      const query = new URLSearchParams({
        fieldManager: applyOptions.fieldManager,
        force: String(applyOptions.force ?? true),
      })
      if (applyOptions.dryRun) query.set('dryRun', 'All')
      return send<T>(resource, 'apply', {
        method: 'PATCH',
        path: `${resourcePath(resource, of, applyOptions.subresource)}?${query}`,
        contentType: 'application/apply-patch+yaml', // JSON is YAML
        body: object,
        idempotent: true,
        of,
      })
    },

    async mergePatch<T extends KubeObject>(
      resource: Resource,
      key: ObjectKey,
      patch: unknown,
      patchOptions: { subresource?: 'status' | 'scale'; fieldManager?: string } = {},
    ) {
      const query = patchOptions.fieldManager
        ? `?${new URLSearchParams({ fieldManager: patchOptions.fieldManager })}`
        : ''
      return send<T>(resource, 'patch', {
        method: 'PATCH',
        path: resourcePath(resource, key, patchOptions.subresource) + query,
        contentType: 'application/merge-patch+json',
        body: patch,
        idempotent: true,
        of: key,
      })
    },

    async delete(resource, key, deleteOptions = {}) {
      const { uid, propagationPolicy } = deleteOptions
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(propagationPolicy ? { propagationPolicy } : {}),
        ...(uid ? { preconditions: { uid } } : {}),
      }
      try {
        const path = resourcePath(resource, key)
        await send(resource, 'delete', { method: 'DELETE', path, body, idempotent: true, of: key })
        return true
      } catch (error) {
        if (isKubeError(error, 'NotFound')) return false
        // Another object has the name now: the one we meant is gone (registry/generic Preconditions.Check).
        if (uid && isKubeError(error, 'Conflict') && /UID in (the )?precondition/.test(error.message)) return false
        throw error
      }
    },

    async raw(method, path, body, contentType) {
      const request: ApiRequest = { method, path, call: `${method} ${path}`, verb: 'raw', idempotent: method === 'GET' }
      if (body !== undefined) request.body = typeof body === 'string' ? body : JSON.stringify(body)
      if (contentType) request.contentType = contentType
      return (await requester.send(request)) as Json
    },

    watch: (resource, watchOptions) => openWatch(requester, resource, watchOptions),

    async [Symbol.asyncDispose]() {
      closing.abort(new Error('the client is closed'))
      await connection[Symbol.asyncDispose]()
    },
  }

  async function listPages<T extends KubeObject>(
    resource: Resource,
    listOptions: ListOptions,
    transform: (object: T) => T,
    limit?: number,
  ) {
    const items: T[] = []
    let continueToken = ''
    let pageSize = limit
    for (;;) {
      const query = new URLSearchParams()
      if (pageSize) query.set('limit', String(pageSize))
      if (continueToken) query.set('continue', continueToken)
      if (listOptions.labelSelector) query.set('labelSelector', listOptions.labelSelector)
      if (listOptions.fieldSelector) query.set('fieldSelector', listOptions.fieldSelector)
      const path = `${resourcePath(resource, { namespace: listOptions.namespace })}?${query}`
      let page: { items?: T[]; metadata?: { resourceVersion?: string; continue?: string } }
      try {
        page = await send(resource, 'list', { method: 'GET', path, idempotent: true })
      } catch (error) {
        if (!pageSize || pageSize === 1 || !isKubeError(error, 'TooLarge')) throw error
        pageSize = Math.ceil(pageSize / 8) // large objects, so fewer at once
        continue
      }
      // Items of a list come without apiVersion and kind; everywhere else objects carry them.
      const typed = { apiVersion: apiVersionOf(resource), kind: resource.kind }
      for (const item of page.items ?? []) items.push(transform({ ...typed, ...item }))
      continueToken = page.metadata?.continue ?? ''
      if (!continueToken) return { items, resourceVersion: page.metadata?.resourceVersion ?? '' }
    }
  }

  return client
}
