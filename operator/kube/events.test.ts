import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kubeErrorOf } from './errors.ts'
import { createEventRecorder, type EventStatement } from './events.ts'
import type { KubeClient, KubeObject, ObjectKey } from './types.ts'

const about: KubeObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'smtp', namespace: 'mail', uid: 'u1' },
}
const ready: EventStatement = { type: 'Normal', reason: 'Ready', action: 'Reconcile', note: 'all is well' }

function recorder() {
  const created: KubeObject[] = []
  const patched: { key: ObjectKey; patch: unknown }[] = []
  const api = { fails: false, expired: false, time: new Date('2026-01-02T03:04:05Z') }
  const client: Pick<KubeClient, 'create' | 'mergePatch'> = {
    async create<T extends KubeObject>(_: unknown, object: KubeObject) {
      if (api.fails) throw kubeErrorOf('create events', 403, '')
      created.push(object)
      return object as T
    },
    async mergePatch<T extends KubeObject>(_: unknown, key: ObjectKey, patch: unknown) {
      if (api.expired) throw kubeErrorOf('patch events', 404, '')
      patched.push({ key, patch })
      return about as T
    },
  }
  const events = createEventRecorder({ client, controller: 'example.io/test', instance: 'pod-1', now: () => api.time })
  const pass = (seconds: number) => {
    api.time = new Date(+api.time + seconds * 1000)
  }
  return { events, created, patched, api, pass }
}

test('an Event has what events.k8s.io/v1 requires', async () => {
  const { events, created } = recorder()
  events.record(about, { ...ready, related: { ...about, kind: 'Pod' } })
  await events.stop()
  const [event] = created
  assert.match(event?.metadata.name ?? '', /^smtp\.[0-9a-f]{16}$/)
  assert.deepEqual(
    { ...event, metadata: event?.metadata.namespace },
    {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: 'mail',
      eventTime: '2026-01-02T03:04:05.000000Z',
      reportingController: 'example.io/test',
      reportingInstance: 'pod-1',
      action: 'Reconcile',
      reason: 'Ready',
      type: 'Normal',
      note: 'all is well',
      regarding: { apiVersion: 'v1', kind: 'Service', name: 'smtp', namespace: 'mail', uid: 'u1' },
      related: { apiVersion: 'v1', kind: 'Pod', name: 'smtp', namespace: 'mail', uid: 'u1' },
    },
  )
})

test('repetition becomes a series: told at its beginning, then once a minute, and at the end', async () => {
  const { events, created, patched, pass } = recorder()
  for (let i = 0; i < 130; i++) {
    events.record(about, ready)
    pass(1)
  }
  await events.stop()
  assert.equal(created.length, 1)
  assert.deepEqual(
    patched.map(({ patch }) => (patch as { series: { count: number } }).series.count),
    [2, 62, 122, 130],
  )
})

test('after ten minutes the same statement is a new Event', async () => {
  const { events, created, pass } = recorder()
  events.record(about, ready)
  pass(601)
  events.record(about, ready)
  await events.stop()
  assert.equal(created.length, 2)
  assert.notEqual(created[0]?.metadata.name, created[1]?.metadata.name)
})

test('ever-changing notes of one reason do not fill etcd', async () => {
  const { events, created } = recorder()
  for (let i = 0; i < 200; i++) events.record(about, { ...ready, note: `try ${i}` })
  await events.stop()
  assert.equal(created.length, 10)
})

test('a refused or expired Event harms nobody', async () => {
  const { events, api, created } = recorder()
  events.record(about, ready)
  await new Promise((resolve) => setImmediate(resolve))
  api.expired = true
  events.record(about, ready)
  await new Promise((resolve) => setImmediate(resolve))
  events.record(about, ready)
  await new Promise((resolve) => setImmediate(resolve))
  api.fails = true
  events.record(about, { ...ready, reason: 'Other' })
  await events.stop()
  assert.equal(created.length, 2, 'the expired one was made anew')
})

test('long notes are cut to the limit of the API, in bytes', async () => {
  const { events, created } = recorder()
  events.record(about, { ...ready, note: 'ü'.repeat(2000) })
  await events.stop()
  assert.ok(Buffer.byteLength(String(created[0]?.note)) <= 1024)
})

test('Events about cluster-scoped objects live in default', async () => {
  const { events, created } = recorder()
  events.record({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mail', uid: 'n' } }, ready)
  await events.stop()
  assert.equal(created[0]?.metadata.namespace, 'default')
})
