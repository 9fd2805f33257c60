/** Lists, page by page, and watches: many objects in the form that the client asked for. */
import { randomUUID } from 'node:crypto'
import { type Call, includeObject, listItem, matcher } from './call.ts'
import { negotiate, send } from './http.ts'
import type { JsonObject, KubeObject } from './json.ts'
import { apiVersionOf, served } from './registry.ts'
import * as errors from './status-errors.ts'
import { partialMetadata, tableOf } from './table.ts'
import { serveWatch } from './watch.ts'

/** Items of lists cut by `limit`, kept until their continue token is used up or pushed out. */
export class Continuations {
  static readonly #LIMIT = 100
  #pages = new Map<string, { items: KubeObject[]; resourceVersion: string }>()

  keep(items: KubeObject[], resourceVersion: string): string {
    const token = Buffer.from(
      JSON.stringify({ v: 'meta.k8s.io/v1', rv: Number(resourceVersion), start: randomUUID() }),
    ).toString('base64url')
    this.#pages.set(token, { items, resourceVersion })
    const [oldest] = this.#pages.keys()
    if (this.#pages.size > Continuations.#LIMIT && oldest !== undefined) this.#pages.delete(oldest)
    return token
  }

  /** @throws ApiError 400 for what is no token, 410 for one that is too old */
  take(token: string): { items: KubeObject[]; resourceVersion: string } {
    const page = this.#pages.get(token)
    if (page) return page
    if (!Buffer.from(token, 'base64url').toString().startsWith('{"v":"meta.k8s.io/v1"'))
      throw errors.badRequest('invalid continue token: continue key is not valid: illegal base64 data at input byte 0')
    throw errors.expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    )
  }
}

export function list(call: Call): void {
  const { server, request, response, definition, address, query } = call
  const { storage } = server.objects
  const limit = Number(query.get('limit') ?? 0)
  const token = query.get('continue')
  const asked = Number(query.get('resourceVersion') || 0)
  if (!Number.isInteger(asked) || asked < 0)
    throw errors.badRequest(
      `invalid resource version: resourceVersion: Invalid value: "${query.get('resourceVersion')}": strconv.ParseUint: parsing "${query.get('resourceVersion')}": invalid syntax`,
    )
  if (asked > storage.revision) throw errors.resourceVersionTooLarge(asked, storage.revision)
  const exact = query.get('resourceVersionMatch') === 'Exact' ? asked : storage.revision
  if (exact < storage.oldestRevision) throw errors.expired('The resourceVersion for the provided list is too old.')
  const matches = matcher(call)
  const selective = Boolean(query.get('labelSelector') || query.get('fieldSelector'))
  const all = token
    ? server.continues.take(token)
    : {
        items: storage
          .listAt(exact, definition.bucket, address.namespace)
          .map((object) => served(definition, object))
          .filter(matches),
        resourceVersion: String(exact),
      }
  const page = limit > 0 ? all.items.slice(0, limit) : all.items
  const rest = all.items.slice(page.length)
  const metadata: JsonObject = { resourceVersion: all.resourceVersion }
  if (rest.length > 0) {
    metadata.continue = server.continues.keep(rest, all.resourceVersion)
    if (!selective) metadata.remainingItemCount = rest.length
  }
  const form = negotiate(request.headers.accept)
  if (form === 'table')
    send(response, 200, tableOf(definition.columns, page, metadata, includeObject(query), server.now()))
  else if (form === 'metadata')
    send(response, 200, {
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      items: page.map(({ metadata }) => ({ metadata })),
    })
  else
    send(
      response,
      200,
      {
        kind: definition.listKind,
        apiVersion: apiVersionOf(definition),
        metadata,
        items: page.map((object) => listItem(definition, object)),
      },
      {},
      form === 'yaml',
    )
}

export function watch(call: Call): void {
  const { server, request, response, definition, address, query } = call
  const timeout = Number(query.get('timeoutSeconds') ?? 0)
  const initial = query.get('sendInitialEvents')
  if (initial !== null && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw errors.invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
      errors.cause.forbidden(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      ),
    ])
  }
  const form = negotiate(request.headers.accept?.replaceAll('application/json;stream=watch', 'application/json'))
  serveWatch(
    response,
    server.objects.storage,
    definition,
    {
      namespace: address.namespace,
      resourceVersion: query.get('resourceVersion') ?? '',
      timeoutSeconds: timeout > 0 ? timeout : undefined,
      bookmarks: ['true', '1'].includes(query.get('allowWatchBookmarks') ?? ''),
      sendInitialEvents: initial === null ? undefined : initial === 'true',
      matches: matcher(call),
      render: (object, first) => {
        if (form === 'metadata') return partialMetadata(object)
        if (form !== 'table') return object
        const { resourceVersion } = object.metadata
        const table = tableOf(
          definition.columns,
          [object],
          { ...(resourceVersion && { resourceVersion }) },
          includeObject(query),
          server.now(),
        )
        return first ? table : { ...table, columnDefinitions: null }
      },
    },
    server.closing,
  )
}
