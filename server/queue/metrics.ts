/** What the queue counts; the names of the first two are fixed by the platform's dashboards. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Outcome } from './reply.ts'
import type { QueueState } from './store.ts'

export interface QueueMetrics {
  sent: Counter<'result'>
  attemptSeconds: Histogram
}

const RESULTS = ['delivered', 'deferred', 'failed', 'local'] as const satisfies (Outcome | 'local')[]
const STATES = ['due', 'delivering', 'waiting'] as const satisfies QueueState[]

/**
 * Registers them with zero-valued samples. Call once per registry.
 * @param count the queue's size at a scrape; when it fails, the last one known is shown
 */
export function createQueueMetrics(registry: Registry, count: () => Promise<Record<QueueState, number>>): QueueMetrics {
  const registers = [registry]
  const size = new Gauge({
    name: 'stalwart_queue_size',
    help: 'Recipients in the outbound queue of all replicas, by state',
    labelNames: ['state'],
    aggregator: 'max', // every process counts the same rows
    registers,
    async collect() {
      const states = await count().catch(() => undefined)
      for (const state of STATES) if (states) this.set({ state }, states[state])
    },
  })
  for (const state of STATES) size.set({ state }, 0)
  const sent = new Counter({
    name: 'stalwart_messages_sent_total',
    help: 'Deliveries attempted, one per message and recipient, by result; local: submitted to an account of this server',
    labelNames: ['result'],
    registers,
  })
  for (const result of RESULTS) sent.inc({ result }, 0)
  const attemptSeconds = new Histogram({
    name: 'mail_queue_attempt_seconds',
    help: 'Time of one delivery attempt, DNS included',
    buckets: [0.05, 0.2, 0.5, 1, 3, 10, 30, 120],
    registers,
  })
  return { sent, attemptSeconds }
}
