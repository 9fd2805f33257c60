import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import { kubeErrorOf } from './errors.ts'
import { createKubeMetrics } from './metrics.ts'
import { keyText, type ObjectKey } from './types.ts'
import { createWorkQueue, type WorkQueueOptions } from './work-queue.ts'

const key = (name: string): ObjectKey => ({ namespace: 'mail', name })
const tick = () => new Promise((resolve) => setImmediate(resolve))

function queueOf(t: TestContext, options: Partial<WorkQueueOptions<ObjectKey>> = {}) {
  const worked: string[] = []
  const gates: PromiseWithResolvers<number | undefined>[] = []
  const queue = createWorkQueue<ObjectKey>({
    name: 'test',
    handle: (given) => {
      worked.push(given.name)
      const gate = Promise.withResolvers<number | undefined>()
      gates.push(gate)
      return gate.promise
    },
    random: () => 1,
    ...options,
  })
  t.after(async () => {
    t.mock.timers.reset()
    const stopped = queue.stop(0)
    for (const gate of gates) gate.resolve(undefined)
    await stopped
  })
  /** Ends the oldest work under way. */
  const finish = async (next?: number) => {
    gates.shift()?.resolve(next)
    await tick()
  }
  const fail = async (error: unknown) => {
    gates.shift()?.reject(error)
    await tick()
  }
  return { queue, worked, finish, fail }
}

test('many adds before the work are one', async (t) => {
  const { queue, worked } = queueOf(t)
  for (let i = 0; i < 5; i++) queue.add(key('a'))
  queue.add(key('b'))
  assert.deepEqual(queue.size(), { ready: 2, delayed: 0, running: 0 })
  queue.start()
  assert.deepEqual(worked, ['a', 'b'])
})

test('a key is never worked on twice at once; adds meanwhile are one more round', async (t) => {
  const { queue, worked, finish } = queueOf(t, { workers: 4 })
  queue.start()
  queue.add(key('a'))
  queue.add(key('a'))
  queue.add(key('a'))
  assert.deepEqual(worked, ['a'])
  await finish()
  assert.deepEqual(worked, ['a', 'a'])
  await finish()
  assert.deepEqual(queue.size(), { ready: 0, delayed: 0, running: 0 })
})

test('no more than `workers` at once, in order', async (t) => {
  const { queue, worked, finish } = queueOf(t, { workers: 2 })
  queue.start()
  for (const name of ['a', 'b', 'c', 'd']) queue.add(key(name))
  assert.deepEqual(worked, ['a', 'b'])
  await finish()
  assert.deepEqual(worked, ['a', 'b', 'c'])
})

test('failures come back later and later, success forgets them', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { queue, worked, finish, fail } = queueOf(t, { backoff: { baseMs: 100, maxMs: 300 } })
  queue.start()
  queue.add(key('a'))
  for (const waitMs of [100, 200, 300, 300]) {
    const before = worked.length
    await fail(new Error('no'))
    t.mock.timers.tick(waitMs - 1)
    assert.equal(worked.length, before, `too early, before ${waitMs} ms`)
    t.mock.timers.tick(1)
    assert.equal(worked.length, before + 1)
  }
  await finish()
  queue.add(key('a'))
  await fail(new Error('no'))
  t.mock.timers.tick(100)
  assert.equal(worked.length, 7)
})

test('a wished delay is kept, an earlier one and an add come before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { queue, worked, finish } = queueOf(t)
  queue.start()
  queue.add(key('a'))
  await finish(1000)
  t.mock.timers.tick(999)
  assert.equal(worked.length, 1)
  t.mock.timers.tick(1)
  assert.equal(worked.length, 2)
  await finish(1000)
  queue.add(key('a'))
  assert.deepEqual(queue.size(), { ready: 0, delayed: 0, running: 1 })
})

test('an API that asks to wait is given the time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { queue, worked, fail } = queueOf(t)
  queue.start()
  queue.add(key('a'))
  await fail(kubeErrorOf('get', 429, '', { retryAfterMs: 30_000 }))
  t.mock.timers.tick(29_999)
  assert.equal(worked.length, 1)
  t.mock.timers.tick(1)
  assert.equal(worked.length, 2)
})

test('work past its deadline is told by its signal', async (t) => {
  const seen = Promise.withResolvers<unknown>()
  const { queue } = queueOf(t, {
    deadlineMs: 10,
    handle: async (_, signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      seen.resolve(signal.reason)
      return undefined
    },
  })
  queue.start()
  queue.add(key('a'))
  assert.match(String(await seen.promise), /past its deadline/)
})

test('stop waits for what runs, starts nothing more, and aborts after the grace period', async () => {
  const events: string[] = []
  const gate = Promise.withResolvers<undefined>()
  const queue = createWorkQueue<ObjectKey>({
    name: 'test',
    workers: 2,
    handle: async (given, signal) => {
      if (given.name === 'quick') return gate.promise
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      events.push('slow aborted')
      return undefined
    },
  })
  queue.start()
  for (const name of ['quick', 'slow', 'never']) queue.add(key(name))
  const stopped = queue.stop(20).then(() => events.push('stopped'))
  gate.resolve(undefined)
  queue.add(key('late'))
  await stopped
  assert.deepEqual(events, ['slow aborted', 'stopped'])
  assert.deepEqual(queue.size(), { ready: 0, delayed: 0, running: 0 })
})

test('metrics have the names that dashboards know', async (t) => {
  const registry = new Registry()
  const { queue, finish, fail } = queueOf(t, { metrics: createKubeMetrics(registry), workers: 3 })
  queue.start()
  for (const name of ['a', 'b', 'c']) queue.add(key(name))
  await finish()
  await finish(1000)
  await fail(new TypeError('bug'))
  const text = await registry.metrics()
  for (const line of [
    'controller_runtime_reconcile_total{controller="test",result="success"} 1',
    'controller_runtime_reconcile_total{controller="test",result="requeue_after"} 1',
    'controller_runtime_reconcile_total{controller="test",result="error"} 1',
    'controller_runtime_reconcile_errors_total{controller="test"} 1',
    'controller_runtime_reconcile_panics_total{controller="test"} 1',
    'controller_runtime_max_concurrent_reconciles{controller="test"} 3',
    'controller_runtime_active_workers{controller="test"} 0',
    'controller_runtime_reconcile_time_seconds_count{controller="test"} 3',
    'workqueue_adds_total{name="test"} 3',
    'workqueue_depth{name="test"} 0',
    'workqueue_retries_total{name="test"} 1',
    'workqueue_queue_duration_seconds_count{name="test"} 3',
  ]) {
    assert.ok(text.includes(line), `missing: ${line}`)
  }
})

test('keys of different namespaces are different', async (t) => {
  const worked: string[] = []
  const { queue } = queueOf(t, { handle: async (given) => void worked.push(keyText(given)) })
  queue.start()
  queue.add({ namespace: 'a', name: 'x' })
  queue.add({ namespace: 'b', name: 'x' })
  await tick()
  assert.deepEqual(worked, ['a/x', 'b/x'])
})
