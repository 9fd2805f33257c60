import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import { connectionError, deadlineError, kubeErrorOf } from './errors.ts'
import { createKubeMetrics } from './metrics.ts'
import { type ReflectorOptions, startReflector } from './reflector.ts'
import { ConfigMap } from './resources.ts'
import type { KubeClient, KubeObject } from './types.ts'
import type { WatchEvent, Watcher, WatchOptions } from './watch.ts'

/** Plays the API: what lists answer, and what each watch sends until it ends or throws. */
interface Script {
  lists: (() => { items: KubeObject[]; resourceVersion: string })[]
  watches: ((options: WatchOptions) => AsyncIterable<WatchEvent>)[]
}

function scripted(script: Script) {
  const calls: string[] = []
  const client: Pick<KubeClient, 'list'> & Watcher = {
    async list<T extends KubeObject>() {
      const next = script.lists.shift() ?? (() => assert.fail('an unexpected list'))
      calls.push('list')
      const { items, resourceVersion } = next()
      return { items: items as T[], resourceVersion }
    },
    async *watch<T extends KubeObject>(_: unknown, options: WatchOptions) {
      calls.push(`watch ${options.resourceVersion}`)
      const next = script.watches.shift()
      if (next) yield* next(options) as AsyncIterable<WatchEvent<T>>
      else
        await new Promise((_, reject) =>
          options.signal?.addEventListener('abort', () => reject(options.signal?.reason)),
        )
    },
  }
  return { client, calls }
}

const object = (name: string, resourceVersion: string, uid = `uid-${name}`): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'mail', uid, resourceVersion },
})
const items =
  (resourceVersion: string, ...list: KubeObject[]) =>
  () => ({ items: list, resourceVersion })
const event = (type: 'ADDED' | 'MODIFIED' | 'DELETED', changed: KubeObject): WatchEvent => ({ type, object: changed })
const failing = (code: number) => () => {
  throw kubeErrorOf('list configmaps', code, '')
}
async function* events(list: WatchEvent[], error?: Error): AsyncIterable<WatchEvent> {
  yield* list
  if (error) throw error
}
const gone = kubeErrorOf('watch configmaps', 410, '')
const cut = kubeErrorOf('watch configmaps', 500, '')

function start(t: TestContext, script: Script, options: ReflectorOptions<KubeObject> = {}) {
  const { client, calls } = scripted(script)
  const backoff = { baseMs: 1, maxMs: 2 }
  const reflector = startReflector(client, ConfigMap, { backoff, ...options })
  const told: string[] = []
  reflector.onChange(({ type, object: { metadata }, previous }) => {
    told.push(
      `${type} ${metadata.name}@${metadata.resourceVersion}${previous ? ` after ${previous.metadata.resourceVersion}` : ''}`,
    )
  })
  t.after(() => reflector.stop())
  const until = async (count: number) => {
    while (told.length < count) await new Promise((resolve) => setTimeout(resolve, 1))
    return told
  }
  const untilCalls = async (count: number) => {
    while (calls.length < count) await new Promise((resolve) => setTimeout(resolve, 1))
    return calls
  }
  return { reflector, told, calls, until, untilCalls }
}

test('lists, then watches from the list, and tells what changes', async (t) => {
  const { reflector, until } = start(t, {
    lists: [items('5', object('a', '3'))],
    watches: [
      () =>
        events([
          event('ADDED', object('b', '6')),
          event('MODIFIED', object('a', '7')),
          event('DELETED', object('b', '8')),
        ]),
    ],
  })
  await reflector.synced
  assert.deepEqual(await until(4), ['set a@3', 'set b@6', 'set a@7 after 3', 'deleted b@8'])
  assert.deepEqual(
    reflector.list().map(({ metadata }) => metadata.name),
    ['a'],
  )
  assert.equal(reflector.get({ namespace: 'mail', name: 'a' })?.metadata.resourceVersion, '7')
  assert.equal(reflector.get({ namespace: 'mail', name: 'b' }), undefined)
  assert.deepEqual(reflector.list('other'), [])
  assert.ok(reflector.sinceLastContactMs() >= 0)
})

test('what was there before is told as such: the first list, and what a late listener finds', async (t) => {
  const { reflector, untilCalls } = start(t, {
    lists: [items('5', object('a', '3')), items('20', object('a', '3'), object('b', '6'), object('c', '15'))],
    watches: [() => events([event('ADDED', object('b', '6'))], gone)],
  })
  const told = (into: string[]) =>
    reflector.onChange(({ object: { metadata }, isInInitialList }) => {
      into.push(`${metadata.name}${isInInitialList ? ' was there' : ''}`)
    })
  const early: string[] = []
  told(early)
  await untilCalls(4)
  const late: string[] = []
  told(late)
  assert.deepEqual(early, ['a was there', 'b', 'c'])
  assert.deepEqual(late, ['a was there', 'b was there', 'c was there'])
})

test('a cut watch continues from the last version seen, bookmarks included', async (t) => {
  const { untilCalls } = start(t, {
    lists: [items('5')],
    watches: [
      () => events([event('ADDED', object('a', '6'))], cut),
      () => events([{ type: 'BOOKMARK', resourceVersion: '90' }], cut),
    ],
  })
  assert.deepEqual(await untilCalls(4), ['list', 'watch 5', 'watch 6', 'watch 90'])
})

test('410 means a new list, which tells what vanished meanwhile and what changed, and nothing else', async (t) => {
  const { until, calls } = start(t, {
    lists: [
      items('5', object('kept', '1'), object('lost', '2'), object('changed', '3')),
      items('20', object('kept', '1'), object('changed', '15'), object('new', '16')),
    ],
    watches: [() => events([], gone)],
  })
  const told = await until(6)
  assert.deepEqual(told.slice(3), ['deleted lost@2', 'set changed@15 after 3', 'set new@16'])
  assert.deepEqual(calls.slice(0, 3), ['list', 'watch 5', 'list'])
})

test('the same name with another uid is told as deleted and set, in a list and in a watch', async (t) => {
  const { until } = start(t, {
    lists: [items('5', object('a', '1', 'first')), items('9', object('a', '8', 'second'))],
    watches: [() => events([], gone), () => events([event('MODIFIED', object('a', '12', 'third'))])],
  })
  assert.deepEqual(await until(5), ['set a@1', 'deleted a@1', 'set a@8', 'deleted a@8', 'set a@12'])
})

test('a failing list is tried until it answers', async (t) => {
  const { reflector, calls } = start(t, {
    lists: [failing(500), failing(429), failing(503), items('5', object('a', '1'))],
    watches: [],
  })
  await reflector.synced
  assert.deepEqual(calls.slice(0, 4), ['list', 'list', 'list', 'list'])
})

for (const code of [403, 404]) {
  test(`a list refused with ${code} counts as empty and is told, what was known stays, and the right comes back`, async (t) => {
    let mayList = false
    const closed = Promise.withResolvers<void>()
    const { reflector, until } = start(t, {
      lists: Array.from({ length: 10_000 }, () => () => (mayList ? items('5', object('a', '1')) : failing(code))()),
      watches: [
        async function* () {
          await closed.promise
          yield* events([], gone)
        },
      ],
    })
    await reflector.synced
    assert.deepEqual(reflector.list(), [])
    assert.equal(reflector.unreadable()?.code, code)
    mayList = true
    await until(1)
    assert.equal(reflector.unreadable(), undefined)
    mayList = false
    closed.resolve()
    while (!reflector.unreadable()) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.equal(reflector.get({ namespace: 'mail', name: 'a' })?.metadata.resourceVersion, '1')
  })
}

test('any answer of the API is contact, a refusal too; no answer is none', async (t) => {
  let answer = failing(500)
  const { client } = scripted({ lists: Array.from({ length: 10_000 }, () => () => answer()), watches: [] })
  const reflector = startReflector(client, ConfigMap, { backoff: { baseMs: 2, maxMs: 2 } })
  t.after(() => reflector.stop())
  const silence = async (is: (ms: number) => boolean) => {
    while (!is(reflector.sinceLastContactMs())) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  answer = () => {
    throw connectionError('list configmaps', 'ECONNREFUSED')
  }
  await silence((ms) => ms > 100)
  answer = failing(403)
  await silence((ms) => ms < 100)
})

test('a server that answers watches with 504 gets pauses; a watch that was silent for long is opened again at once', async (t) => {
  const metrics = createKubeMetrics(new Registry())
  const silent = deadlineError('watch configmaps', 1)
  const timeout = kubeErrorOf('watch configmaps', 504, '')
  const { client, calls } = scripted({
    lists: [items('5')],
    watches: [() => events([], silent), () => events([], silent), () => events([], timeout)],
  })
  // Whoever has to pause is not heard of again within this test.
  const reflector = startReflector(client, ConfigMap, { backoff: { baseMs: 3_600_000, maxMs: 3_600_000 } }, { metrics })
  t.after(() => reflector.stop())
  while (calls.length < 4) await new Promise((resolve) => setTimeout(resolve, 1))
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(calls, ['list', 'watch 5', 'watch 5', 'watch 5'])
  const failures = await metrics.reflectorFailures.get()
  assert.equal(failures.values[0]?.value, 3)
})

test('the same kind in two namespaces has metrics of its own in each, failures from 0 on', async (t) => {
  const metrics = createKubeMetrics(new Registry())
  for (const namespace of ['a', 'b']) {
    const { client } = scripted({ lists: [items('5')], watches: [] })
    const reflector = startReflector(client, ConfigMap, { namespace }, { metrics })
    t.after(() => reflector.stop())
    await reflector.synced
  }
  const valuesOf = async (metric: 'reflectorLists' | 'reflectorFailures') =>
    (await metrics[metric].get()).values.map(({ labels, value }) => [labels.namespace, value])
  assert.deepEqual(await valuesOf('reflectorLists'), [
    ['a', 1],
    ['b', 1],
  ])
  assert.deepEqual(await valuesOf('reflectorFailures'), [
    ['a', 0],
    ['b', 0],
  ])
})

test('of a reflector that is stopped nothing is measured any more', async () => {
  const metrics = createKubeMetrics(new Registry())
  const { client, calls } = scripted({ lists: [items('5')], watches: [] })
  const reflector = startReflector(client, ConfigMap, { namespace: 'a' }, { metrics })
  // As the reflector does it every 15 seconds, and another one of another namespace.
  for (const namespace of ['a', 'b']) metrics.reflectorUnreadable.set({ name: 'configmaps', namespace }, 1)
  metrics.reflectorContactSeconds.set({ name: 'configmaps', namespace: 'a' }, 1)
  while (calls.length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  await reflector.stop()
  const unreadable = (await metrics.reflectorUnreadable.get()).values.map(({ labels }) => labels.namespace)
  assert.deepEqual(unreadable, ['b'])
  assert.deepEqual((await metrics.reflectorContactSeconds.get()).values, [])
})

test('a watch that keeps failing leads to a new list', async (t) => {
  const broken = () => events([], cut)
  const { untilCalls } = start(t, {
    lists: [items('5'), items('6')],
    watches: [broken, broken, broken, broken, broken],
  })
  const calls = await untilCalls(8)
  assert.deepEqual(calls.slice(-2), ['list', 'watch 6'])
})

test('a throwing listener harms neither the others nor the cache', async (t) => {
  const { client } = scripted({
    lists: [items('5', object('a', '1'))],
    watches: [() => events([event('ADDED', object('b', '6'))])],
  })
  const errors: string[] = []
  const logger = { debug() {}, info() {}, warn() {}, error: (_: object, message: string) => void errors.push(message) }
  const reflector = startReflector(client, ConfigMap, {}, { logger })
  t.after(() => reflector.stop())
  const told: string[] = []
  reflector.onChange(() => {
    throw new Error('mine')
  })
  reflector.onChange(({ object: { metadata } }) => told.push(metadata.name))
  while (told.length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  assert.deepEqual(told, ['a', 'b'])
  assert.equal(errors.length, 2)
})

test('who listens late is told what is there', async (t) => {
  const { reflector } = start(t, { lists: [items('5', object('a', '1'))], watches: [] })
  await reflector.synced
  const told: string[] = []
  reflector.onChange(({ object: { metadata } }) => told.push(metadata.name))
  assert.deepEqual(told, ['a'])
})

test('resync tells every object again, each once before any comes a second time', async (t) => {
  const names = Array.from({ length: 200 }, (_, index) => `o${index}`)
  const list = items('5', ...names.map((name) => object(name, '1')))
  const { until } = start(t, { lists: [list], watches: [] }, { resyncMs: 500 })
  const again = (await until(names.length * 2 + 50)).filter((change) => change.endsWith('@1 after 1'))
  assert.equal(new Set(again.slice(0, names.length)).size, names.length)
  assert.match(again[0] ?? '', /^set o\d+@1 after 1$/)
})

test('transform decides what is kept and told', async (t) => {
  const { reflector } = start(
    t,
    { lists: [items('5', { ...object('a', '1'), data: { large: 'x' } })], watches: [] },
    { transform: ({ data: _, ...rest }) => rest },
  )
  await reflector.synced
  assert.equal(reflector.list()[0]?.data, undefined)
})

test('stop before the first list rejects synced and ends the tries', async () => {
  const { client, calls } = scripted({ lists: Array.from({ length: 50 }, () => failing(500)), watches: [] })
  const reflector = startReflector(client, ConfigMap, { backoff: { baseMs: 5, maxMs: 5 } })
  await new Promise((resolve) => setTimeout(resolve, 10))
  await reflector.stop()
  await assert.rejects(reflector.synced, /stopped/)
  const before = calls.length
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(calls.length, before)
})
