import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { KubeApi } from '../kube/client.ts'
import { kubeErrorOf } from '../kube/errors.ts'
import type { ObjectKey, Resource } from '../kube/types.ts'
import { startCaches } from './caches.ts'
import { openTestCluster } from './testing/cluster.ts'

const cluster = await openTestCluster()
/** Any kind that the API can list. */
const certificates: Resource = {
  ...{ group: 'postgresql.cnpg.io', version: 'v1' },
  ...{ kind: 'Cluster', plural: 'clusters', namespaced: true },
}

test('a kind that comes is told to every server once somebody has missed it', async (t) => {
  let served = false
  const client: KubeApi = {
    ...cluster.client,
    discover: async (_, kind) =>
      kind === 'Certificate' || (kind === 'DNSEndpoint' && served) ? certificates : undefined,
  }
  const caches = startCaches({ namespaces: [cluster.namespace], resyncMs: 600_000 }, { client })
  t.after(() => caches[Symbol.asyncDispose]())
  const told: ObjectKey[] = []
  for (const source of caches.sources()) source.connect((key) => told.push(key))
  for (const name of ['one', 'two']) await cluster.mailServer(name)
  await cluster.eventually(async () => told.length === 2, 'both servers to be told')

  await caches.optional('Certificate', cluster.namespace)
  assert.equal(told.length, 2, 'nobody has missed it')
  assert.equal(await caches.optional('DNSEndpoint', cluster.namespace), undefined)
  served = true
  await caches.optional('DNSEndpoint', cluster.namespace)
  assert.deepEqual(
    told.slice(2).map(({ name }) => name),
    ['one', 'two'],
  )
})

test('a kind that is watched is not asked about with every look, but when its watch says that it is gone', async (t) => {
  let asked = 0
  const removed = Promise.withResolvers<void>()
  let served: Resource | undefined = certificates
  const client: KubeApi = {
    ...cluster.client,
    async discover(_, kind) {
      if (kind !== 'Certificate') return undefined
      asked += 1
      return served
    },
    async list() {
      if (!served) throw kubeErrorOf('list clusters', 404, '404 page not found')
      return { items: [], resourceVersion: '1' }
    },
    async *watch(_, { signal }) {
      await Promise.race([removed.promise, signal && once(signal, 'abort')])
      yield* [] // the API closes it
      if (!served) throw kubeErrorOf('watch clusters', 404, '404 page not found')
    },
  }
  const caches = startCaches({ namespaces: [cluster.namespace], resyncMs: 600_000 }, { client })
  t.after(() => caches[Symbol.asyncDispose]())
  assert.equal(await caches.optional('Certificate', cluster.namespace), certificates)
  const before = asked
  assert.equal(await caches.optional('Certificate', cluster.namespace), certificates)
  assert.equal(asked, before)
  served = undefined
  removed.resolve()
  await cluster.eventually(async () => !(await caches.optional('Certificate', cluster.namespace)), 'it to be missed')
  assert.equal(caches.known('Certificate'), undefined)
})
