/**
 * One watch: a long GET whose body is a JSON object per line (API concepts, "Efficient detection of changes").
 * It ends normally when the server closes it after timeoutSeconds, and throws when something is wrong with it.
 */

import type { Dispatcher } from 'undici'
import { connectionError, KubeError, kubeErrorOf, type Status } from './errors.ts'
import type { Requester } from './requester.ts'
import { resourcePath } from './resources.ts'
import type { KubeObject, ListOptions, Resource } from './types.ts'

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  /** Nothing changed up to here: the resourceVersion to continue from. */
  | { type: 'BOOKMARK'; resourceVersion: string }

export interface WatchOptions extends ListOptions {
  /** Of the list this continues, or of the last event. */
  resourceVersion: string
  signal?: AbortSignal
  /** Ends a watch that stays silent so long; above the API server's bookmark period of a minute. Default 150 s. */
  inactivityMs?: number
}

/** What a reflector needs of a client. */
export interface Watcher {
  /**
   * @throws KubeError Gone: the resourceVersion is too old, list again; Timeout: silent for too long; Transient: cut
   */
  watch<T extends KubeObject = KubeObject>(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent<T>>
}

/** etcd holds objects up to 1.5 MiB; JSON and managedFields can make that larger, but not so much larger. */
const MAX_LINE_BYTES = 16 * 1024 * 1024
const INACTIVITY_MS = 150_000

export async function* openWatch<T extends KubeObject>(
  requester: Requester,
  resource: Resource,
  options: WatchOptions,
  random: () => number = Math.random,
): AsyncGenerator<WatchEvent<T>> {
  const call = `watch ${resource.plural}`
  const query = new URLSearchParams({
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: options.resourceVersion,
    // 5 to 10 minutes, so that the watches of many clients do not all come back at once (client-go reflector.go).
    timeoutSeconds: String(Math.floor(300 + random() * 300)),
  })
  if (options.labelSelector) query.set('labelSelector', options.labelSelector)
  if (options.fieldSelector) query.set('fieldSelector', options.fieldSelector)
  const request = {
    method: 'GET',
    path: `${resourcePath(resource, { namespace: options.namespace })}?${query}`,
    call,
    verb: 'watch',
    idempotent: false, // the reflector has its own back-off
    ...(options.signal ? { signal: options.signal } : {}),
  }
  const body = await requester.open(request)
  for await (const line of lines(body, call, options.inactivityMs ?? INACTIVITY_MS)) {
    yield eventOf<T>(line, call, resource)
  }
}

function eventOf<T extends KubeObject>(line: string, call: string, resource: Resource): WatchEvent<T> {
  let event: { type?: unknown; object?: unknown }
  try {
    event = JSON.parse(line)
  } catch (error) {
    throw connectionError(`${call}: broken line`, error instanceof SyntaxError ? 'not JSON' : error)
  }
  const object = event?.object
  if (typeof object !== 'object' || object === null) throw connectionError(call, 'an event without an object')
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object: object as T }
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: (object as T).metadata.resourceVersion ?? '' }
    case 'ERROR':
      throw kubeErrorOf(call, (object as Status).code ?? 500, object, { secret: resource.kind === 'Secret' })
    default:
      throw connectionError(call, `unknown event type ${JSON.stringify(event.type)?.slice(0, 40)}`)
  }
}

/** The lines of a body. A last line without its newline was cut on the way and is dropped. */
async function* lines(
  body: Dispatcher.ResponseData['body'],
  call: string,
  inactivityMs: number,
): AsyncGenerator<string> {
  const silent = new KubeError(`${call}: silent for ${inactivityMs} ms`, { kind: 'Timeout', code: 0 })
  const timer = setTimeout(() => body.destroy(silent), inactivityMs)
  let pending: Buffer[] = []
  let pendingBytes = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      timer.refresh()
      let start = 0
      for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
        const line = Buffer.concat([...pending, chunk.subarray(start, end)])
        pending = []
        pendingBytes = 0
        start = end + 1
        if (line.length > 0) yield line.toString('utf8')
        timer.refresh() // the consumer may have taken its time
      }
      pending.push(chunk.subarray(start))
      pendingBytes += chunk.length - start
      if (pendingBytes > MAX_LINE_BYTES) throw connectionError(call, `a line larger than ${MAX_LINE_BYTES} bytes`)
    }
  } catch (error) {
    if (error instanceof KubeError) throw error
    throw connectionError(call, error)
  } finally {
    clearTimeout(timer)
    body.on('error', () => {}) // destroying a body that is not read to its end tells so by an error event
    body.destroy()
  }
}
