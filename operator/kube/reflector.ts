/**
 * A cache of one kind: list, then watch from there, for ever. Whatever goes wrong (cut streams, compaction, an API
 * server away for minutes, a CRD not installed yet) it comes back by itself, and tells what it missed meanwhile.
 */

import { backoffMs } from './backoff.ts'
import { isKubeError, KubeError } from './errors.ts'
import { type KubeLogger, silentLogger } from './logger.ts'
import type { KubeMetrics } from './metrics.ts'
import { delay } from './rate-limit.ts'
import { keyOf } from './resources.ts'
import {
  type Change,
  type KubeClient,
  type KubeObject,
  keyText,
  type ListOptions,
  type Reflector,
  type Resource,
} from './types.ts'
import type { Watcher } from './watch.ts'

export interface ReflectorOptions<T extends KubeObject> extends ListOptions {
  /** Tells every cached object again within this time after it was told last, so that a lost thought is thought again. */
  resyncMs?: number
  /** Shrinks objects before they are kept, e.g. drops managedFields. Must keep metadata's name, namespace, uid; once more changes nothing. */
  transform?: (object: T) => T
  /** Longest silence of a watch before it is opened anew. Default 150 s: bookmarks come every minute. */
  inactivityMs?: number
  /** Between failures. Default 0.8 s .. 30 s, client-go's. */
  backoff?: { baseMs: number; maxMs: number }
}

export interface ReflectorDeps {
  logger?: KubeLogger
  metrics?: KubeMetrics
  random?: () => number
}

/** A watch that fails so often in a row without an event is not tried again: a fresh list says what is wrong. */
const WATCH_FAILURES_BEFORE_LIST = 5
/** A watch that ends sooner than this counts as failed, or a proxy that closes at once would make a hot loop. */
const SHORT_WATCH_MS = 1_000

/** client-go's word for it, in ResourceEventHandler.OnAdd. */
const IN_INITIAL_LIST = { isInInitialList: true } as const

/** Objects that came together are not told again together: the last 45 % of the interval is left to chance. */
const SPREAD = 0.45
/** How often within the interval is looked whose turn it is. */
const RESYNC_LOOKS = 100

export function startReflector<T extends KubeObject = KubeObject>(
  client: Pick<KubeClient, 'list'> & Watcher,
  resource: Resource,
  options: ReflectorOptions<T> = {},
  deps: ReflectorDeps = {},
): Reflector<T> {
  const { logger = silentLogger, metrics, random = Math.random } = deps
  const limits = options.backoff ?? { baseMs: 800, maxMs: 30_000 }
  const scope: ListOptions = {}
  if (options.namespace) scope.namespace = options.namespace
  if (options.labelSelector) scope.labelSelector = options.labelSelector
  if (options.fieldSelector) scope.fieldSelector = options.fieldSelector
  const label = { name: resource.plural, namespace: scope.namespace ?? '' }
  const objects = new Map<string, T>()
  const listeners: ((change: Change<T>) => void)[] = []
  const stopping = new AbortController()
  const { signal } = stopping
  let lastContact = performance.now()
  let failures = 0
  let listed = false
  let unreadable: KubeError | undefined

  const synced = Promise.withResolvers<void>()
  synced.promise.catch(() => {}) // stopped before the first list, and nobody waits: no unhandled rejection

  function heard(): void {
    lastContact = performance.now()
  }

  function tell(change: Change<T>): void {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (error) {
        logger.error(
          { err: error, kind: resource.kind, key: keyText(keyOf(change.object)) },
          'reflector: listener failed',
        )
      }
    }
  }

  function set(raw: T): void {
    const object = options.transform ? options.transform(raw) : raw
    const key = keyText(keyOf(object))
    const previous = objects.get(key)
    objects.set(key, object)
    schedule(key)
    if (previous && previous.metadata.uid !== object.metadata.uid) {
      // Deleted and created again while we were not looking: two different objects with one name.
      tell({ type: 'deleted', object: previous })
      tell({ type: 'set', object })
    } else if (previous) {
      tell({ type: 'set', object, previous })
    } else {
      tell({ type: 'set', object, ...(listed ? {} : IN_INITIAL_LIST) })
    }
  }

  function remove(object: T): void {
    const key = keyText(keyOf(object))
    if (!objects.delete(key)) return
    tell({ type: 'deleted', object: options.transform ? options.transform(object) : object })
  }

  /** Makes the cache equal to a list; unchanged objects are not told. */
  function replaceAll(items: T[]): void {
    const present = new Set(items.map((item) => keyText(keyOf(item))))
    for (const [key, object] of objects) {
      if (present.has(key)) continue
      objects.delete(key)
      tell({ type: 'deleted', object })
    }
    for (const item of items) {
      const known = objects.get(keyText(keyOf(item)))
      const same = known?.metadata.uid === item.metadata.uid
      if (same && known?.metadata.resourceVersion === item.metadata.resourceVersion) continue
      set(item)
    }
  }

  async function list(): Promise<string> {
    metrics?.reflectorLists.inc(label)
    const { items, resourceVersion } = await client.list<T>(resource, scope, options.transform)
    heard()
    if (signal.aborted) return resourceVersion
    if (unreadable) logger.info({ kind: resource.kind, ...scope }, 'reflector: the list can be read now')
    unreadable = undefined
    replaceAll(items)
    listed = true
    return resourceVersion
  }

  /** Follows from `from` until the watch ends; answers where it got to. */
  async function follow(from: string, reached: (resourceVersion: string) => void): Promise<void> {
    metrics?.reflectorWatches.inc(label)
    const inactivity = options.inactivityMs ? { inactivityMs: options.inactivityMs } : {}
    for await (const event of client.watch<T>(resource, { ...scope, ...inactivity, resourceVersion: from, signal })) {
      heard()
      failures = 0
      if (event.type === 'BOOKMARK') {
        reached(event.resourceVersion)
        continue
      }
      if (event.type === 'DELETED') remove(event.object)
      else set(event.object)
      reached(event.object.metadata.resourceVersion ?? from)
    }
    heard()
  }

  /** A refused right or a missing CRD lasts: nobody waits for this list, and whoever needs it can ask why it is not there. */
  function refused(error: unknown): void {
    if (!isKubeError(error, 'Forbidden', 'NotFound')) return
    if (!unreadable) {
      logger.warn({ err: error, kind: resource.kind, ...scope }, 'reflector: the list cannot be read, going on without')
    }
    unreadable = error
    synced.resolve()
  }

  async function pause(error: unknown, doing: 'list' | 'watch'): Promise<void> {
    if (isKubeError(error) && error.code !== 0) heard() // it answers, if not as we wish
    failures += 1
    metrics?.reflectorFailures.inc(label)
    // The first failure of a row is news, the rest is repetition; routine ends of a watch are neither, refusals are told.
    const level =
      failures === 1 && !isKubeError(error, 'Gone', 'Forbidden', 'NotFound') && doing === 'list' ? 'warn' : 'debug'
    logger[level]({ err: error, kind: resource.kind, failures }, `reflector: ${doing} failed, trying again`)
    await delay(backoffMs(failures, limits, random()), signal)
  }

  async function watchFrom(resourceVersion: string): Promise<void> {
    let from = resourceVersion
    let fruitless = 0
    while (fruitless < WATCH_FAILURES_BEFORE_LIST) {
      const opened = performance.now()
      const before = from
      try {
        await follow(from, (reached) => {
          from = reached
        })
        if (signal.aborted) return
        if (performance.now() - opened >= SHORT_WATCH_MS || from !== before) {
          fruitless = 0
          failures = 0
          continue
        }
        throw new KubeError(`watch ${resource.plural}: ended at once`, { kind: 'Transient', code: 0 })
      } catch (error) {
        if (signal.aborted) return
        fruitless = from === before ? fruitless + 1 : 1
        if (isKubeError(error, 'Gone', 'NotFound')) {
          // Too old a version: list at once. But a server that says so about its newest list must not get a hot loop.
          if (from !== before) failures = 0
          if (isKubeError(error, 'NotFound') || failures > 0) await pause(error, 'watch')
          else failures = 1
          return
        }
        // Silence until our own deadline is no reason to wait: it was waiting. A 504 comes at once.
        if (isKubeError(error, 'Timeout') && error.code === 0) {
          metrics?.reflectorFailures.inc(label)
          continue
        }
        await pause(error, 'watch')
      }
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        const resourceVersion = await list()
        synced.resolve()
        await watchFrom(resourceVersion)
      } catch (error) {
        if (signal.aborted) break
        refused(error)
        await pause(error, 'list').catch(() => {})
      }
    }
  }

  /** By key, when each object is told again if it does not change before. */
  const due = new Map<string, number>()
  const resyncMs = options.resyncMs ?? 0
  function schedule(key: string): void {
    if (resyncMs > 0) due.set(key, performance.now() + resyncMs * (1 - SPREAD * random()))
  }
  const resync =
    resyncMs > 0 &&
    setInterval(() => {
      const now = performance.now()
      const late = [...due].filter(([, at]) => at <= now)
      // In the order in which they are due, however late: none comes twice before another has come once.
      for (const [key] of late.sort(([, a], [, b]) => a - b)) {
        const object = objects.get(key)
        if (!object) {
          due.delete(key)
          continue
        }
        schedule(key)
        tell({ type: 'set', object, previous: object })
      }
    }, resyncMs / RESYNC_LOOKS).unref()

  metrics?.reflectorFailures.inc(label, 0) // increase() does not see what a series begins with
  const gauges = metrics && setInterval(report, 15_000).unref()
  function report(): void {
    metrics?.reflectorObjects.set(label, objects.size)
    metrics?.reflectorContactSeconds.set(label, (performance.now() - lastContact) / 1000)
    metrics?.reflectorUnreadable.set(label, unreadable ? 1 : 0)
  }

  const running = run()

  return {
    synced: synced.promise,
    get: (key) => objects.get(keyText(key)),
    list: (namespace) => {
      const all = [...objects.values()]
      return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace)
    },
    onChange(listener) {
      listeners.push(listener)
      // Whoever comes late is told what is there, as client-go's AddEventHandler does.
      for (const object of [...objects.values()]) {
        try {
          listener({ type: 'set', object, ...IN_INITIAL_LIST })
        } catch (error) {
          logger.error({ err: error, kind: resource.kind }, 'reflector: listener failed')
        }
      }
    },
    unreadable: () => unreadable,
    sinceLastContactMs: () => performance.now() - lastContact,
    async stop() {
      stopping.abort(new Error('the reflector is stopped'))
      if (resync) clearInterval(resync)
      if (gauges) clearInterval(gauges)
      // Of a kind that is not watched any more: what was said last would be said for ever.
      metrics?.reflectorObjects.remove(label)
      metrics?.reflectorContactSeconds.remove(label)
      metrics?.reflectorUnreadable.remove(label)
      synced.reject(new KubeError(`${resource.plural}: stopped before the first list`, { kind: 'Transient', code: 0 }))
      await running
    },
  }
}
