import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { kubeErrorOf } from './errors.ts'
import { type LeaderElectionOptions, microTime, startLeaderElection } from './leader-election.ts'
import type { KubeClient, KubeObject } from './types.ts'

type LeaseClient = Pick<KubeClient, 'find' | 'create' | 'replace'>
interface Spec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  renewTime?: string
  leaseTransitions?: number
}

/** One Lease with resourceVersion conflicts, as the API keeps it; `broken` makes every call fail. */
function leaseStore() {
  let stored: KubeObject<Spec> | undefined
  let version = 0
  const store = {
    broken: false,
    spec: () => stored?.spec,
    put(spec: Spec) {
      version += 1
      stored = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'lock', resourceVersion: `${version}` },
        spec,
      }
    },
  }
  const reachable = () => {
    if (store.broken) throw kubeErrorOf('get leases', 503, '')
  }
  const client: LeaseClient = {
    async find<T extends KubeObject>() {
      reachable()
      return structuredClone(stored) as T | undefined
    },
    async create<T extends KubeObject>(_: unknown, object: KubeObject) {
      reachable()
      if (stored) throw kubeErrorOf('create leases', 409, { kind: 'Status', reason: 'AlreadyExists' })
      store.put(object.spec as Spec)
      return structuredClone(stored) as unknown as T
    },
    async replace<T extends KubeObject>(_: unknown, object: KubeObject) {
      reachable()
      if (object.metadata.resourceVersion !== stored?.metadata.resourceVersion)
        throw kubeErrorOf('update leases', 409, '')
      store.put(object.spec as Spec)
      return structuredClone(stored) as unknown as T
    },
  }
  return { store, client }
}

function candidate(
  t: TestContext,
  client: LeaseClient,
  identity: string,
  options: Partial<LeaderElectionOptions> = {},
) {
  const told: string[] = []
  const election = startLeaderElection({
    client,
    identity,
    lease: { namespace: 'mail', name: 'lock' },
    // Longer than any pause of a busy machine: who is to lose the lead has a clock of its own.
    leaseDurationMs: 60_000,
    renewDeadlineMs: 40_000,
    retryPeriodMs: 5,
    onStarted: (signal) => {
      told.push('started')
      signal.addEventListener('abort', () => told.push('ended'))
    },
    onLost: () => told.push('lost'),
    ...options,
  })
  t.after(() => election.stop())
  return { election, told }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}

test('one of two leads; when it stops the other follows at once, not after the lease time', async (t) => {
  const { store, client } = leaseStore()
  const first = candidate(t, client, 'first')
  await until(() => first.election.isLeader())
  const second = candidate(t, client, 'second')
  await until(() => second.election.leader() === 'first')
  assert.equal(second.election.isLeader(), false)
  await first.election.stop()
  assert.equal(first.election.isLeader(), false)
  assert.deepEqual(first.told, ['started', 'ended'])
  await until(() => second.election.isLeader())
  assert.equal(store.spec()?.holderIdentity, 'second')
  assert.equal(store.spec()?.leaseTransitions, 1)
})

test('giving back leaves an empty holder and one second', async (t) => {
  const { store, client } = leaseStore()
  const { election } = candidate(t, client, 'a')
  await until(() => election.isLeader())
  await election.stop()
  assert.equal(store.spec()?.holderIdentity, '')
  assert.equal(store.spec()?.leaseDurationSeconds, 1)
})

test('a silent leader is respected for its lease time from when we saw it, whatever its clock says', async (t) => {
  const { store, client } = leaseStore()
  store.put({ holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '1999-01-01T00:00:00.000000Z' })
  let time = 0
  const { election } = candidate(t, client, 'heir', { monotonic: () => time })
  await until(() => election.leader() === 'dead')
  time = 14_999
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(election.isLeader(), false)
  time = 15_001
  await until(() => election.isLeader())
})

test('a leader that cannot renew stops being leader before the lease runs out, and says so once', async (t) => {
  const { store, client } = leaseStore()
  let time = 0
  const { election, told } = candidate(t, client, 'a', { monotonic: () => time })
  await until(() => election.isLeader())
  store.broken = true
  time = 40_000
  assert.equal(election.isLeader(), true)
  await until(() => told.includes('lost'))
  assert.equal(election.isLeader(), false)
  assert.deepEqual(told, ['started', 'ended', 'lost'])
})

test('the fence falls by the clock alone', async (t) => {
  const { client } = leaseStore()
  let time = 0
  const { election } = candidate(t, client, 'a', {
    monotonic: () => time,
    retryPeriodMs: 2_000,
    renewDeadlineMs: 10_000,
    leaseDurationMs: 15_000,
  })
  await until(() => election.isLeader())
  time = 14_999
  assert.equal(election.isLeader(), true)
  time = 15_000
  assert.equal(election.isLeader(), false)
})

test('a lease taken over by another ends the leadership', async (t) => {
  const { store, client } = leaseStore()
  const { election, told } = candidate(t, client, 'a')
  await until(() => election.isLeader())
  store.put({ holderIdentity: 'usurper', leaseDurationSeconds: 15 })
  await until(() => told.includes('lost'))
  assert.equal(election.leader(), 'usurper')
  await election.stop()
  assert.equal(store.spec()?.holderIdentity, 'usurper', 'what is not ours is not given back')
})

test('timings that cannot work are refused', () => {
  const { client } = leaseStore()
  const base = { client, identity: 'a', lease: { namespace: 'a', name: 'b' }, onStarted() {}, onLost() {} }
  assert.throws(() => startLeaderElection({ ...base, leaseDurationMs: 10, renewDeadlineMs: 10 }), RangeError)
  assert.throws(() => startLeaderElection({ ...base, renewDeadlineMs: 2_000, retryPeriodMs: 2_000 }), RangeError)
})

test('MicroTime has six fraction digits', () => {
  assert.equal(microTime(new Date('2026-01-02T03:04:05.678Z')), '2026-01-02T03:04:05.678000Z')
})

test('a renewal that comes in between does not keep the Lease from being given back', async (t) => {
  const { store, client } = leaseStore()
  let between = 0
  const busy: LeaseClient = {
    ...client,
    async replace<T extends KubeObject>(resource: Parameters<LeaseClient['replace']>[0], object: KubeObject) {
      const spec = object.spec as Spec
      if (spec.holderIdentity === '' && between++ === 0) store.put({ ...store.spec(), renewTime: 'now' })
      return client.replace<T>(resource, object)
    },
  }
  const { election } = candidate(t, busy, 'a')
  while (!election.isLeader()) await new Promise((resolve) => setTimeout(resolve, 1))
  await election.stop()
  assert.equal(store.spec()?.holderIdentity, '')
})
