import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import { kubeErrorOf, TerminalError } from './errors.ts'
import { createKubeMetrics } from './metrics.ts'
import { reconcileFields } from './reconcile-id.ts'
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

test('what is urgent goes first; a retry is as urgent as the try was, a wished look at most normal', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { queue, worked, finish, fail } = queueOf(t, { workers: 1 })
  for (const name of ['low', 'normal', 'high'] as const) queue.add(key(name), name)
  queue.start()
  await fail(new Error('no'))
  await finish(200)
  await finish(200)
  assert.deepEqual(worked.splice(0), ['high', 'normal', 'low'])
  queue.add(key('other'), 'low')
  t.mock.timers.tick(200)
  queue.add(key('another'), 'normal')
  await finish()
  await finish(200)
  await finish()
  await finish()
  await finish()
  assert.deepEqual(worked.splice(0), ['other', 'high', 'normal', 'another', 'low'])
  queue.add(key('other'), 'normal')
  queue.add(key('another'), 'normal')
  t.mock.timers.tick(200)
  await finish()
  await finish()
  assert.deepEqual(worked, ['other', 'another', 'high'])
})

test('an add of what waits for its time, or is worked on, keeps the higher priority of both', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { queue, worked, finish, fail } = queueOf(t, { workers: 1 })
  queue.start()
  queue.add(key('a'), 'high')
  queue.add(key('b'), 'normal')
  queue.add(key('a'), 'low')
  await fail(new Error('no'))
  assert.deepEqual(worked, ['a', 'a'], 'the retry was high')
  await fail(new Error('no'))
  queue.add(key('c'), 'normal')
  queue.add(key('a'), 'low')
  await finish()
  assert.deepEqual(worked, ['a', 'a', 'b', 'a'])
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
    'workqueue_depth{name="test",priority="high"} 0',
    'workqueue_retries_total{name="test"} 1',
    'workqueue_queue_duration_seconds_count{name="test"} 3',
  ]) {
    assert.ok(text.includes(line), `missing: ${line}`)
  }
})

test('counters of a controller are there at 0 before anything fails: increase() does not see what a series begins with', async (t) => {
  const registry = new Registry()
  queueOf(t, { metrics: createKubeMetrics(registry) })
  const text = await registry.metrics()
  for (const line of [
    'controller_runtime_reconcile_total{controller="test",result="error"} 0',
    'controller_runtime_reconcile_errors_total{controller="test"} 0',
    'controller_runtime_terminal_reconcile_errors_total{controller="test"} 0',
    'controller_runtime_reconcile_panics_total{controller="test"} 0',
    'controller_runtime_reconcile_timeouts_total{controller="test"} 0',
    'workqueue_retries_total{name="test"} 0',
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

test('what failed for good is counted and not tried again; the work is told how often it failed before', async (t) => {
  const registry = new Registry()
  const told: number[] = []
  const errors = [new Error('a'), new Error('b'), new TerminalError('InvalidSpec')]
  const { queue } = queueOf(t, {
    metrics: createKubeMetrics(registry),
    backoff: { baseMs: 1, maxMs: 1 },
    handle: async (_, __, failures) => {
      told.push(failures)
      const error = errors.shift()
      if (error) throw error
      return undefined
    },
  })
  queue.start()
  queue.add(key('a'))
  while (told.length < 3) await tick()
  await tick()
  assert.deepEqual(queue.size(), { ready: 0, delayed: 0, running: 0 })
  queue.add(key('a'))
  await tick()
  assert.deepEqual(told, [0, 1, 2, 0])
  const text = await registry.metrics()
  assert.ok(text.includes('controller_runtime_terminal_reconcile_errors_total{controller="test"} 1'), text)
  assert.ok(text.includes('controller_runtime_reconcile_errors_total{controller="test"} 3'), text)
})

test('every log line of one reconcile has its id, of another one another, and outside there is none', async (t) => {
  const logged: string[] = []
  const log = () => void logged.push(reconcileFields().reconcileID ?? 'none')
  const logger = { debug: log, info: log, warn: log, error: log }
  const { queue } = queueOf(t, {
    logger,
    handle: async () => {
      logger.info()
      await tick()
      logger.info()
      throw new TerminalError('InvalidSpec') // which the queue logs
    },
  })
  queue.start()
  for (const name of ['a', 'b']) {
    queue.add(key(name))
    while (queue.size().running > 0) await tick()
  }
  const [first, second] = [logged.slice(0, 3), logged.slice(3)]
  assert.match(first[0] ?? '', /^[0-9a-f-]{36}$/)
  assert.deepEqual([new Set(first).size, new Set(second).size, second.length], [1, 1, 3])
  assert.notEqual(first[0], second[0])
  assert.deepEqual(reconcileFields(), {})
})
