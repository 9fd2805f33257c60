/** Watches: what happened since a revision, then what happens, as a stream of JSON lines. */
import type { ServerResponse } from 'node:http'
import type { JsonObject, KubeObject } from './json.ts'
import { apiVersionOf, type ResourceDefinition, served } from './registry.ts'
import { expired } from './status-errors.ts'
import type { Change, Storage } from './storage.ts'

/** A watcher that has this much unread is cut off; it lists and watches again. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024
const BOOKMARK_INTERVAL_MS = 60_000
const DEFAULT_TIMEOUT_S = 45 * 60

export type WatchOptions = {
  namespace: string
  resourceVersion: string
  timeoutSeconds: number | undefined
  bookmarks: boolean
  /** Send what exists first, then a bookmark that says so (streaming lists). */
  sendInitialEvents: boolean | undefined
  matches: (object: KubeObject) => boolean
  render: (object: KubeObject, first: boolean) => JsonObject
}

type Event = { type: string; object: JsonObject }

/** Serves one watch until the client leaves, time is up or `closing` aborts. */
export function serveWatch(
  response: ServerResponse,
  storage: Storage,
  definition: ResourceDefinition,
  options: WatchOptions,
  closing: AbortSignal,
): void {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' })
  response.flushHeaders()
  let first = true
  const write = ({ type, object }: Event) => {
    response.write(`${JSON.stringify({ type, object })}\n`)
    if (response.writableLength > MAX_BACKLOG_BYTES) response.destroy()
  }
  const writeObject = (type: string, object: KubeObject) => {
    write({ type, object: options.render(served(definition, object), first) })
    first = false
  }
  const bookmark = (annotations?: { [key: string]: string }) => {
    const metadata = {
      resourceVersion: String(storage.revision),
      creationTimestamp: null,
      ...(annotations && { annotations }),
    }
    write({ type: 'BOOKMARK', object: { kind: definition.kind, apiVersion: apiVersionOf(definition), metadata } })
  }
  const since = Number(options.resourceVersion || '0')
  if (since > 0 && since < storage.oldestRevision && !options.sendInitialEvents) {
    const { status } = expired(`too old resource version: ${since} (${storage.oldestRevision})`)
    response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`)
    return
  }
  if ((since === 0 && options.sendInitialEvents !== false) || options.sendInitialEvents) {
    for (const object of storage.list(definition.bucket, options.namespace))
      if (options.matches(served(definition, object))) writeObject('ADDED', object)
    if (options.sendInitialEvents && options.bookmarks) bookmark({ 'k8s.io/initial-events-end': 'true' })
  } else if (since > 0) {
    for (const change of storage.changesSince(definition.bucket, since)) deliver(change)
  }

  function deliver(change: Change): void {
    if (change.bucket !== definition.bucket) return
    const { namespace } = change.object.metadata
    if (options.namespace && namespace !== options.namespace) return
    const before = change.previous !== undefined && options.matches(served(definition, change.previous))
    const after = !change.deleted && options.matches(served(definition, change.object))
    if (after) writeObject(before ? 'MODIFIED' : 'ADDED', change.object)
    else if (before)
      writeObject(
        'DELETED',
        change.deleted
          ? change.object
          : {
              ...(change.previous ?? change.object),
              metadata: { ...(change.previous ?? change.object).metadata, resourceVersion: String(change.revision) },
            },
      )
  }

  const unsubscribe = storage.subscribe(deliver)
  const timeoutMs = Math.min(options.timeoutSeconds ?? DEFAULT_TIMEOUT_S, 24 * 3600) * 1000
  const bookmarks = options.bookmarks
    ? setInterval(() => bookmark(), Math.min(BOOKMARK_INTERVAL_MS, Math.max(1000, timeoutMs - 2000)))
    : undefined
  const end = () => response.end()
  const timeout = setTimeout(end, timeoutMs)
  closing.addEventListener('abort', end, { once: true })
  response.on('close', () => {
    unsubscribe()
    clearInterval(bookmarks)
    clearTimeout(timeout)
    closing.removeEventListener('abort', end)
  })
}
