/**
 * A keyed work queue after client-go's workqueue and controller-runtime's worker loop and priority queue: a key waits at
 * most once, is worked on by one worker at a time, comes back with growing delays after failures and after a wished
 * delay otherwise. What is urgent goes first, and nothing starves.
 */

import { type BackoffLimits, backoffMs } from './backoff.ts'
import { isKubeError, TerminalError } from './errors.ts'
import { type KubeLogger, silentLogger } from './logger.ts'
import type { KubeMetrics } from './metrics.ts'
import { createPriorityLanes, higher, PRIORITIES, type Priority, type Waiting } from './priority-lanes.ts'
import { withReconcileId } from './reconcile-id.ts'
import { keyText, type ObjectKey } from './types.ts'

export interface WorkQueueOptions<K extends ObjectKey> {
  /** Controller name: the label of its metrics and the word in its logs. */
  name: string
  /**
   * Does the work for one key.
   * @param signal aborted at the work's deadline and when the queue's grace period at stop is over
   * @param failures how often in a row it has failed for this key
   * @returns milliseconds until the next look, or undefined when an event will bring it
   * @throws TerminalError when only an event can help; anything else: the key comes back after a back-off
   */
  handle: (key: K, signal: AbortSignal, failures: number) => Promise<number | undefined>
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
  /**
   * Work on it as soon as may be. Many adds before the work starts are one, of the highest priority among them; during
   * the work, one more round. A retry after a failure has the priority of the try, a wished look at most a normal one.
   * @param priority default high
   */
  add(key: K, priority?: Priority): void
  /** Work on it in `ms`; of several wishes the earliest counts. */
  addAfter(key: K, ms: number, priority?: Priority): void
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

/**
 * As controller-runtime does (pkg/internal/controller, initMetrics): increase() and rate() see a counter's steps only,
 * so that one which begins with its first failure hides it from every alert.
 */
function beginAtZero(metrics: KubeMetrics, name: string): void {
  for (const result of ['success', 'requeue_after', 'error']) metrics.reconciles.inc({ controller: name, result }, 0)
  const { reconcileErrors, terminalErrors, reconcilePanics, reconcileTimeouts } = metrics
  for (const failed of [reconcileErrors, terminalErrors, reconcilePanics, reconcileTimeouts]) {
    failed.inc({ controller: name }, 0)
  }
  for (const counted of [metrics.queueAdds, metrics.queueRetries]) counted.inc({ name }, 0)
}

interface Running {
  since: number
  /** What came meanwhile. */
  again: Priority | undefined
  abort: AbortController
}

export function createWorkQueue<K extends ObjectKey>(options: WorkQueueOptions<K>): WorkQueue<K> {
  const { name, handle, metrics, logger = silentLogger, random = Math.random } = options
  const workers = options.workers ?? 2
  const limits = options.backoff ?? { baseMs: 200, maxMs: 300_000 }
  const deadlineMs = options.deadlineMs ?? 120_000

  const ready = createPriorityLanes<K>()
  const running = new Map<string, Running>()
  const delayed = new Map<string, { due: number; timer: NodeJS.Timeout; priority: Priority }>()
  const failures = new Map<string, number>()
  let started = false
  let stopped = false
  let idle: (() => void) | undefined

  metrics?.maxConcurrentReconciles.set({ controller: name }, workers)
  if (metrics) beginAtZero(metrics, name)
  const gauges = metrics && setInterval(reportRunning, 5_000).unref()

  function add(key: K, wanted: Priority = 'high'): void {
    if (stopped) return
    const text = keyText(key)
    // An earlier look is as good as the delayed one, which the work will wish for again.
    const priority = higher(wanted, undelay(text))
    const work = running.get(text)
    if (work) {
      if (!work.again) metrics?.queueAdds.inc({ name })
      work.again = higher(priority, work.again)
      return
    }
    if (ready.put(text, key, priority)) metrics?.queueAdds.inc({ name })
    dispatch()
  }

  function addAfter(key: K, ms: number, wanted: Priority = 'high'): void {
    if (stopped) return
    if (!(ms > 0)) {
      add(key, wanted)
      return
    }
    const text = keyText(key)
    const wait = Math.min(ms, MAX_DELAY_MS)
    const due = performance.now() + wait
    const known = delayed.get(text)
    if (known && known.due <= due) return
    const priority = higher(wanted, undelay(text))
    const timer = setTimeout(() => {
      delayed.delete(text)
      add(key, priority)
    }, wait)
    delayed.set(text, { due, timer, priority })
  }

  /** @returns the priority that the delayed look would have had */
  function undelay(text: string): Priority | undefined {
    const known = delayed.get(text)
    if (!known) return undefined
    clearTimeout(known.timer)
    delayed.delete(text)
    return known.priority
  }

  function dispatch(): void {
    while (started && !stopped && running.size < workers) {
      const next = ready.take()
      if (!next) break
      metrics?.queueSeconds.observe({ name }, (performance.now() - next.since) / 1000)
      void withReconcileId(() => work(next))
    }
    for (const priority of PRIORITIES) metrics?.queueDepth.set({ name, priority }, ready.size(priority))
  }

  async function work(taken: Waiting<K>): Promise<void> {
    const { text, key } = taken
    const entry: Running = { since: performance.now(), again: undefined, abort: new AbortController() }
    running.set(text, entry)
    metrics?.activeWorkers.set({ controller: name }, running.size)
    const timer = setTimeout(() => {
      metrics?.reconcileTimeouts.inc({ controller: name })
      logger.error({ controller: name, key: text, deadlineMs }, 'reconcile: past its deadline')
      entry.abort.abort(new Error(`reconcile ${text}: past its deadline of ${deadlineMs} ms`))
    }, deadlineMs)
    try {
      const next = await handle(key, entry.abort.signal, failures.get(text) ?? 0)
      succeeded(taken, next)
    } catch (error) {
      if (error instanceof TerminalError) gaveUp(text, error)
      else failed(taken, error)
    } finally {
      clearTimeout(timer)
      running.delete(text)
      const seconds = (performance.now() - entry.since) / 1000
      metrics?.activeWorkers.set({ controller: name }, running.size)
      metrics?.workSeconds.observe({ name }, seconds)
      metrics?.reconcileSeconds.observe({ controller: name }, seconds)
      if (entry.again) add(key, entry.again)
      dispatch()
      if (running.size === 0) idle?.()
    }
  }

  function succeeded({ text, key, priority }: Waiting<K>, next: number | undefined): void {
    failures.delete(text)
    metrics?.reconciles.inc({ controller: name, result: next === undefined ? 'success' : 'requeue_after' })
    if (next !== undefined) addAfter(key, Math.max(next, 1), priority === 'low' ? 'low' : 'normal')
  }

  /** As controller-runtime counts it: an error that is not tried again is an error too. */
  function gaveUp(text: string, error: TerminalError): void {
    failures.delete(text)
    metrics?.reconciles.inc({ controller: name, result: 'error' })
    metrics?.reconcileErrors.inc({ controller: name })
    metrics?.terminalErrors.inc({ controller: name })
    logger.warn({ controller: name, key: text, why: error.message }, 'reconcile: failed for good, waiting for a change')
  }

  function failed({ text, key, priority }: Waiting<K>, error: unknown): void {
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
    addAfter(key, waitMs, priority)
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
    size: () => ({ ready: ready.size(), delayed: delayed.size, running: running.size }),
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
