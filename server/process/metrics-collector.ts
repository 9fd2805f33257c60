/** Sums the workers' metrics, in the primary, so that every scrape shows the whole pod whichever worker answers it. */
import { AggregatorRegistry, type Registry } from 'prom-client'
import type { MetricsSnapshot } from './messages.ts'

const COLLECT_MS = 2_000
/** What stays true of a worker after its end. Its gauges end with it. */
const LASTING: ReadonlySet<unknown> = new Set(['counter', 'histogram', 'summary'])

export interface MetricsCollector {
  /** Prometheus text of all workers and the primary. A worker that does not answer in time counts with its last answer. */
  collect(): Promise<string>
  answered(worker: number, id: number, metrics: MetricsSnapshot): void
  /** Its counters are kept: a sum that falls would look like a restart of the pod to Prometheus, and its rates would jump. */
  ended(worker: number): void
}

/**
 * @param workers numbers of the workers that can be asked
 * @param ask sends the question `id` to one of them
 */
export function createMetricsCollector(options: {
  registry: Registry
  workers: () => number[]
  ask: (worker: number, id: number) => void
}): MetricsCollector {
  const last = new Map<number, MetricsSnapshot>()
  const retired: MetricsSnapshot[] = []
  let nextId = 1
  const pending = new Map<number, { waiting: Set<number>; done: () => void }>()

  const aggregate = (snapshots: MetricsSnapshot[]) => AggregatorRegistry.aggregate(snapshots)
  return {
    async collect() {
      const id = nextId++
      const waiting = new Set(options.workers())
      const { promise, resolve: done } = Promise.withResolvers<void>()
      if (waiting.size === 0) done()
      pending.set(id, { waiting, done })
      const deadline = setTimeout(done, COLLECT_MS)
      for (const worker of waiting) options.ask(worker, id)
      await promise
      clearTimeout(deadline)
      pending.delete(id)
      const own: MetricsSnapshot = await options.registry.getMetricsAsJSON()
      retired.push(await aggregate(retired.splice(0)).getMetricsAsJSON())
      return aggregate([...last.values(), ...retired, own]).metrics()
    },
    answered(worker, id, metrics) {
      last.set(worker, metrics)
      const collection = pending.get(id)
      if (collection?.waiting.delete(worker) && collection.waiting.size === 0) collection.done()
    },
    ended(worker) {
      const snapshot = last.get(worker)
      last.delete(worker)
      if (snapshot) retired.push(snapshot.filter((metric) => LASTING.has(metric.type)))
      for (const collection of pending.values()) {
        if (collection.waiting.delete(worker) && collection.waiting.size === 0) collection.done()
      }
    },
  }
}
