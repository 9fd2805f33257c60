import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { MetricsSnapshot } from './messages.ts'
import { createMetricsCollector } from './metrics-collector.ts'

/** A worker's registry, and its answer as it comes over the channel. */
function worker() {
  const registry = new Registry()
  const registers = [registry]
  const mails = new Counter({ name: 'mails_total', help: '-', registers })
  const open = new Gauge({ name: 'open', help: '-', registers })
  const size = new Gauge({ name: 'queue_size', help: '-', registers, aggregator: 'max' })
  const seconds = new Histogram({ name: 'seconds', help: '-', buckets: [1], registers })
  const snapshot = async (): Promise<MetricsSnapshot> => JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()))
  return { mails, open, size, seconds, snapshot }
}

test('workers are summed; what a dead one counted stays, what it held goes', async () => {
  const workers = new Map([
    [1, worker()],
    [2, worker()],
  ])
  const own = new Registry()
  new Gauge({ name: 'workers', help: '-', registers: [own] }).set(2)
  const collector = createMetricsCollector({
    registry: own,
    workers: () => [...workers.keys()],
    ask: (number, id) =>
      void workers
        .get(number)
        ?.snapshot()
        .then((metrics) => collector.answered(number, id, metrics)),
  })
  for (const [number, { mails, open, size, seconds }] of workers) {
    mails.inc(number)
    open.set(10)
    size.set(7)
    seconds.observe(0.5)
  }
  const sums = /^mails_total 3$[\s\S]*^open 20$[\s\S]*^queue_size 7$[\s\S]*^seconds_count 2$[\s\S]*^workers 2$/m
  assert.match(await collector.collect(), sums)
  workers.delete(2)
  collector.ended(2)
  for (const _ of [1, 2])
    assert.match(await collector.collect(), /^mails_total 3$[\s\S]*^open 10$[\s\S]*^seconds_count 2$/m)
})

test('a worker that ends without an answer is not waited for', async () => {
  const collector = createMetricsCollector({
    registry: new Registry(),
    workers: () => [1],
    ask: () => setImmediate(() => collector.ended(1)),
  })
  assert.equal((await collector.collect()).trim(), '')
})
