import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createController,
  itself,
  moreThanStatus,
  ownersOf,
  ownPriority,
  runControllers,
  sourceOf,
} from './controller.ts'
import type { Change, KubeObject, Reflector } from './types.ts'

function fakeReflector(): { reflector: Reflector; tell: (change: Change) => void; fill: () => void } {
  const listeners: ((change: Change) => void)[] = []
  const synced = Promise.withResolvers<void>()
  const reflector: Reflector = {
    synced: synced.promise,
    get: () => undefined,
    list: () => [],
    onChange: (listener) => listeners.push(listener),
    unreadable: () => undefined,
    sinceLastContactMs: () => 0,
    stop: async () => {},
  }
  return {
    reflector,
    tell: (change) => {
      for (const listener of listeners) listener(change)
    },
    fill: () => synced.resolve(),
  }
}
const object = (kind: string, name: string, rest: Partial<KubeObject['metadata']> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'mail', generation: 1, ...rest },
})

test('changes of an object and of what it owns become its key; work begins when all caches are filled', async () => {
  const servers = fakeReflector()
  const secrets = fakeReflector()
  const worked: string[] = []
  const controller = createController({
    name: 'test',
    sources: [sourceOf(servers.reflector, itself), sourceOf(secrets.reflector, ownersOf('example.io', 'Server'))],
    reconcile: async (key) => void worked.push(key.name),
  })
  const running = runControllers([controller])
  servers.tell({ type: 'set', object: object('Server', 'a') })
  const owner = { apiVersion: 'example.io/v1', kind: 'Server', name: 'b', uid: 'u' }
  secrets.tell({ type: 'set', object: object('Secret', 'x', { ownerReferences: [owner] }) })
  secrets.tell({
    type: 'set',
    object: object('Secret', 'foreign', { ownerReferences: [{ ...owner, apiVersion: 'v1' }] }),
  })
  servers.fill()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(worked, [], 'half of the caches is not enough')
  secrets.fill()
  await using _ = await running
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(worked, ['a', 'b'])
})

test('whoever is changed goes before those that are new, and these before what a new leader finds as it should be', async () => {
  const servers = fakeReflector()
  const secrets = fakeReflector()
  const worked: string[] = []
  const controller = createController({
    name: 'test',
    sources: [
      sourceOf(servers.reflector, itself, ownPriority),
      sourceOf(secrets.reflector, ownersOf('example.io', 'Server')),
    ],
    reconcile: async (key) => void worked.push(key.name),
    workers: 1,
  })
  const settled = (name: string) => ({ ...object('Server', name), status: { observedGeneration: 1 } })
  const secretOf = (name: string) => {
    const owner = { apiVersion: 'example.io/v1', kind: 'Server', name, uid: 'u' }
    return object('Secret', `of-${name}`, { ownerReferences: [owner] })
  }
  servers.tell({ type: 'set', object: settled('found'), isInInitialList: true })
  secrets.tell({ type: 'set', object: secretOf('found'), isInInitialList: true })
  servers.tell({ type: 'set', object: settled('changed'), previous: settled('changed') })
  const again = settled('resync')
  servers.tell({ type: 'set', object: again, previous: again })
  servers.tell({ type: 'set', object: object('Server', 'unseen'), isInInitialList: true })
  servers.tell({ type: 'set', object: object('Server', 'new') })
  secrets.tell({ type: 'set', object: secretOf('child') })
  servers.tell({ type: 'deleted', object: settled('deleted') })
  servers.fill()
  secrets.fill()
  await using _ = await runControllers([controller])
  while (worked.length < 7) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(worked, ['changed', 'child', 'deleted', 'unseen', 'new', 'found', 'resync'])
})

const before = object('Server', 'a', { labels: { a: '1' } })
for (const [what, change, want] of [
  ['a status write', { type: 'set', object: { ...before, status: { x: 1 } }, previous: before }, false],
  ['a new object', { type: 'set', object: before }, true],
  ['a deletion', { type: 'deleted', object: before }, true],
  ['a resync', { type: 'set', object: before, previous: before }, true],
  [
    'a new generation',
    { type: 'set', object: object('Server', 'a', { generation: 2, labels: { a: '1' } }), previous: before },
    true,
  ],
  ['a label', { type: 'set', object: object('Server', 'a', { labels: { a: '2' } }), previous: before }, true],
  [
    'the wish to delete it',
    {
      type: 'set',
      object: { ...before, metadata: { ...before.metadata, deletionTimestamp: 'now' } },
      previous: before,
    },
    true,
  ],
] as const satisfies [string, Change, boolean][]) {
  test(`moreThanStatus: ${what} is ${want}`, () => assert.equal(moreThanStatus(change), want))
}
