/**
 * A keyed work queue after client-go's workqueue and controller-runtime's worker loop: a key waits at most once, is
 * worked on by one worker at a time, comes back with growing delays after failures and after a wished delay otherwise.
 */

import { type BackoffLimits, backoffMs } from './backoff.ts'
import { isKubeError } from './errors.ts'
import { type KubeLogger, silentLogger } from './logger.ts'
import type { KubeMetrics } from './metrics.ts'
import { keyText, type ObjectKey } from './types.ts'

export interface WorkQueueOptions<K extends ObjectKey> {
  /** Controller name: the label of its metrics and the word in its logs. */
  name: string
  /**
   * Does the work for one key.
   * @param signal aborted at the work's deadline and when the queue's grace period at stop is over
   * @returns milliseconds until the next look, or undefined when an event will bring it
   * @throws anything: the key comes back after a back-off
   */
  handle: (key: K, signal: AbortSignal) => Promise<number | undefined>
  /** Keys worked on at once. Default 2. */
  workers?: number
  /** Default 0.2 s .. 5 min. */
  backoff?: BackoffLimits
  /** After this long the work's signal is aborted and it is counted and logged; its key stays taken until it ends. Default 2 min. */
  deadlineMs?: number
  metrics?: KubeMetrics
  logger?: KubeLogger
  random?: () => number
}

export interface WorkQueue<K extends ObjectKey> {
  /** Work on it as soon as may be. Many adds before the work starts are one; during the work, one more round. */
  add(key: K): void
  /** Work on it in `ms`; of several wishes the earliest counts. */
  addAfter(key: K, ms: number): void
  /** Starts the workers; what was added before waits until then. */
  start(): void
  /** Takes nothing new, lets running work end. After graceMs aborts its signal; resolves when all has ended, or 1 s later. */
  stop(graceMs?: number): Promise<void>
  /** Keys ready, delayed and in work. */
  size(): { ready: number; delayed: number; running: number }
}

/** Errors that mean our code is wrong, not the world. */
const BUGS = [TypeError, RangeError, ReferenceError]
/** setTimeout's limit; a longer wish is looked at earlier, which does no harm. */
const MAX_DELAY_MS = 2 ** 31 - 1

export function createWorkQueue<K extends ObjectKey>(options: WorkQueueOptions<K>): WorkQueue<K> {
  const { name, handle, metrics, logger = silentLogger, random = Math.random } = options
  const workers = options.workers ?? 2
  const limits = options.backoff ?? { baseMs: 200, maxMs: 300_000 }
  const deadlineMs = options.deadlineMs ?? 120_000

  const ready = new Map<string, { key: K; since: number }>() // insertion order is the order of work
  const running = new Map<string, { since: number; again: boolean; abort: AbortController }>()
  const delayed = new Map<string, { due: number; timer: NodeJS.Timeout }>()
  const failures = new Map<string, number>()
  let started = false
  let stopped = false
  let idle: (() => void) | undefined

  metrics?.maxConcurrentReconciles.set({ controller: name }, workers)
  const gauges = metrics && setInterval(reportRunning, 5_000).unref()

  function add(key: K): void {
    if (stopped) return
    const text = keyText(key)
    // An earlier look is as good as the delayed one, which the work will wish for again.
    undelay(text)
    const work = running.get(text)
    if (work) {
      if (!work.again) metrics?.queueAdds.inc({ name })
      work.again = true
      return
    }
    if (ready.has(text)) return
    metrics?.queueAdds.inc({ name })
    ready.set(text, { key, since: performance.now() })
    dispatch()
  }

  function addAfter(key: K, ms: number): void {
    if (stopped) return
    if (!(ms > 0)) {
      add(key)
      return
    }
    const text = keyText(key)
    const wait = Math.min(ms, MAX_DELAY_MS)
    const due = performance.now() + wait
    const known = delayed.get(text)
    if (known && known.due <= due) return
    if (known) clearTimeout(known.timer)
    const timer = setTimeout(() => {
      delayed.delete(text)
      add(key)
    }, wait)
    delayed.set(text, { due, timer })
  }

  function undelay(text: string): void {
    const known = delayed.get(text)
    if (!known) return
    clearTimeout(known.timer)
    delayed.delete(text)
  }

  function dispatch(): void {
    metrics?.queueDepth.set({ name }, ready.size)
    if (!started || stopped) return
    for (const [text, { key, since }] of ready) {
      if (running.size >= workers) return
      ready.delete(text)
      metrics?.queueDepth.set({ name }, ready.size)
      metrics?.queueSeconds.observe({ name }, (performance.now() - since) / 1000)
      void work(text, key)
    }
  }

  async function work(text: string, key: K): Promise<void> {
    const entry = { since: performance.now(), again: false, abort: new AbortController() }
    running.set(text, entry)
    metrics?.activeWorkers.set({ controller: name }, running.size)
    const timer = setTimeout(() => {
      metrics?.reconcileTimeouts.inc({ controller: name })
      logger.error({ controller: name, key: text, deadlineMs }, 'reconcile: past its deadline')
      entry.abort.abort(new Error(`reconcile ${text}: past its deadline of ${deadlineMs} ms`))
    }, deadlineMs)
    try {
      const next = await handle(key, entry.abort.signal)
      succeeded(text, key, next)
    } catch (error) {
      failed(text, key, error)
    } finally {
      clearTimeout(timer)
      running.delete(text)
      const seconds = (performance.now() - entry.since) / 1000
      metrics?.activeWorkers.set({ controller: name }, running.size)
      metrics?.workSeconds.observe({ name }, seconds)
      metrics?.reconcileSeconds.observe({ controller: name }, seconds)
      if (entry.again) add(key)
      dispatch()
      if (running.size === 0) idle?.()
    }
  }

  function succeeded(text: string, key: K, next: number | undefined): void {
    failures.delete(text)
    metrics?.reconciles.inc({ controller: name, result: next === undefined ? 'success' : 'requeue_after' })
    if (next !== undefined) addAfter(key, Math.max(next, 1))
  }

  function failed(text: string, key: K, error: unknown): void {
    const count = (failures.get(text) ?? 0) + 1
    const asked = isKubeError(error) ? (error.retryAfterMs ?? 0) : 0
    const waitMs = Math.max(asked, backoffMs(count, limits, random()))
    metrics?.reconciles.inc({ controller: name, result: 'error' })
    metrics?.reconcileErrors.inc({ controller: name })
    if (BUGS.some((bug) => error instanceof bug)) metrics?.reconcilePanics.inc({ controller: name })
    // A conflict is the normal price of a cache that is a moment behind.
    const level = isKubeError(error, 'Conflict') && count === 1 ? 'debug' : 'error'
    logger[level]({ err: error, controller: name, key: text, failures: count, waitMs }, 'reconcile: failed')
    if (stopped) return
    failures.set(text, count)
    metrics?.queueRetries.inc({ name })
    addAfter(key, waitMs)
  }

  function reportRunning(): void {
    const ages = [...running.values()].map((entry) => (performance.now() - entry.since) / 1000)
    metrics?.unfinishedSeconds.set(
      { name },
      ages.reduce((sum, age) => sum + age, 0),
    )
    metrics?.longestRunningSeconds.set({ name }, Math.max(0, ...ages))
  }

  return {
    add,
    addAfter,
    start() {
      started = true
      dispatch()
    },
    size: () => ({ ready: ready.size, delayed: delayed.size, running: running.size }),
    async stop(graceMs = 20_000) {
      stopped = true
      if (gauges) clearInterval(gauges)
      for (const { timer } of delayed.values()) clearTimeout(timer)
      delayed.clear()
      ready.clear()
      if (running.size === 0) return
      const ended = new Promise<'ended'>((resolve) => {
        idle = () => resolve('ended')
      })
      if ((await Promise.race([ended, after(graceMs)])) === 'ended') return
      logger.warn({ controller: name, keys: [...running.keys()] }, 'work queue: grace period over, aborting')
      for (const entry of running.values()) entry.abort.abort(new Error('the work queue stops'))
      await Promise.race([ended, after(1_000)])
    },
  }
}

function after(ms: number): Promise<'late'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('late'), ms).unref()
  })
}
