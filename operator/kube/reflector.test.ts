import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { kubeErrorOf } from './errors.ts'
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
    lists: [failing(500), failing(404), failing(403), items('5', object('a', '1'))],
    watches: [],
  })
  await reflector.synced
  assert.deepEqual(calls.slice(0, 4), ['list', 'list', 'list', 'list'])
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

test('resync tells every object again', async (t) => {
  const { until } = start(t, { lists: [items('5', object('a', '1'))], watches: [] }, { resyncMs: 5 })
  assert.deepEqual((await until(2))[1], 'set a@1 after 1')
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
