import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import type { KubeApi } from '../kube/client.ts'
import { kubeErrorOf } from '../kube/errors.ts'
import { createKubeMetrics } from '../kube/metrics.ts'
import type { KubeObject, ListOptions, Resource } from '../kube/types.ts'
import type { WatchOptions } from '../kube/watch.ts'
import { startGateways } from './gateways.ts'

const gatewayIn = (namespace: string): KubeObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'public', namespace, uid: namespace, resourceVersion: '1' },
  spec: { listeners: [{ name: 'smtp', port: 25, protocol: 'TCP' }] },
})
const at = (namespace: string, name = 'public') => ({ namespace, name })

/** An API with a Gateway in each of two namespaces, that refuses the list in a third. */
function startOn(t: TestContext, namespaces: string[]) {
  const calls: string[] = []
  let version = 'v1'
  const scoped = ({ namespace = 'all' }: ListOptions) => `${version} ${namespace}`
  const api = {
    discover: async (group: string, kind: string): Promise<Resource> => ({
      ...{ group, version, kind, plural: 'gateways', namespaced: true },
    }),
    async list(_: Resource, options: ListOptions) {
      calls.push(`list ${scoped(options)}`)
      if (options.namespace === 'closed') {
        throw kubeErrorOf('list gateways', 403, { kind: 'Status', reason: 'Forbidden', message: 'cannot list' })
      }
      const found = ['a', 'b'].filter((one) => [undefined, one].includes(options.namespace)).map(gatewayIn)
      return { items: found, resourceVersion: '1' }
    },
    async *watch(_: Resource, options: WatchOptions) {
      const scope = scoped(options)
      yield { type: 'BOOKMARK' as const, resourceVersion: '1' }
      if (options.signal) await once(options.signal, 'abort')
      calls.push(`stop ${scope}`)
    },
  }
  const metrics = createKubeMetrics(new Registry())
  const gateways = startGateways({ namespaces }, { client: api as unknown as KubeApi, metrics })
  t.after(() => gateways[Symbol.asyncDispose]())
  return {
    gateways,
    calls,
    metrics,
    serve: (next: string) => {
      version = next
    },
  }
}

test('Gateways are watched in the namespaces of those that are named, once each, until nobody names one', async (t) => {
  const { gateways, calls } = startOn(t, ['mail'])
  for (const server of ['one', 'two']) {
    const { gateway, unseen } = await gateways.look(at('mail', server), at('a'))
    assert.deepEqual([gateway?.spec, unseen], [{ listeners: [{ name: 'smtp' }] }, undefined])
  }
  assert.equal((await gateways.look(at('mail', 'three'), at('a', 'other'))).gateway, undefined)
  assert.deepEqual(calls, ['list v1 a'])
  gateways.forget(at('mail', 'one'))
  gateways.forget(at('mail', 'three'))
  assert.deepEqual(calls, ['list v1 a'])
  await gateways.look(at('mail', 'two'), at('b'))
  await new Promise(setImmediate)
  assert.deepEqual(calls.toSorted(), ['list v1 a', 'list v1 b', 'stop v1 a'])
})

test('an operator of all namespaces has one watch for all Gateways', async (t) => {
  const { gateways, calls } = startOn(t, [])
  for (const namespace of ['a', 'b']) {
    const { gateway } = await gateways.look(at(namespace, 'one'), at(namespace))
    assert.equal(gateway?.metadata.namespace, namespace)
  }
  assert.deepEqual(calls, ['list v1 all'])
})

test('another version that is served is watched in place of the one before', async (t) => {
  const { gateways, calls, serve } = startOn(t, ['mail'])
  await gateways.look(at('mail', 'one'), at('a'))
  serve('v2')
  await gateways.look(at('mail', 'one'), at('a'))
  await new Promise(setImmediate)
  assert.deepEqual(calls.toSorted(), ['list v1 a', 'list v2 a', 'stop v1 a'])
})

test('a namespace that may not be read is named, and no trouble any more once nobody asks', async (t) => {
  const { gateways, metrics } = startOn(t, ['mail'])
  const { unseen } = await gateways.look(at('mail', 'one'), at('closed'))
  assert.equal(unseen?.reason, 'GatewayForbidden')
  assert.match(unseen?.message ?? '', /^Gateway closed\/public cannot be seen, .* list and watch .* cannot list/)
  metrics.reflectorUnreadable.set({ name: 'gateways', namespace: 'closed' }, 1)
  gateways.forget(at('mail', 'one'))
  await gateways[Symbol.asyncDispose]()
  assert.deepEqual((await metrics.reflectorUnreadable.get()).values, [])
})
