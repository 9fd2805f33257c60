/** Deletion with its preconditions and finalizers, Services, and addresses that lead nowhere. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject } from '../json.ts'
import { connect, objectOf } from './client.ts'

const { api, namespace } = await connect()
const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
const configMap = (name: string, data: JsonObject = {}, metadata: JsonObject = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
})
const create = async (name: string, data: JsonObject = {}, metadata: JsonObject = {}) =>
  objectOf(await api.request('POST', configMaps, { body: configMap(name, data, metadata) }))

describe('delete', () => {
  test('answers a Success status; then the object is gone', async () => {
    const { metadata } = await create('deleted')
    const { status, body } = await api.request('DELETE', `${configMaps}/deleted`)
    assert.equal(status, 200)
    assert.deepEqual(body, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'deleted', kind: 'configmaps', uid: metadata.uid },
    })
    assert.equal((await api.request('DELETE', `${configMaps}/deleted`)).status, 404)
  })

  test('honours preconditions', async () => {
    const { metadata } = await create('guarded')
    const wrong = await api.request('DELETE', `${configMaps}/guarded`, { body: { preconditions: { uid: 'other' } } })
    assert.deepEqual(
      [wrong.status, wrong.body.message],
      [
        409,
        `Operation cannot be fulfilled on ConfigMap "guarded": the UID in the precondition (other) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
      ],
    )
    const stale = await api.request('DELETE', `${configMaps}/guarded`, {
      body: { preconditions: { resourceVersion: '1' } },
    })
    assert.equal(stale.status, 409)
  })

  test('waits for finalizers, and takes no new ones meanwhile', async () => {
    await create('held', {}, { finalizers: ['example.org/hold'] })
    const path = `${configMaps}/held`
    const deleting = objectOf(await api.request('DELETE', path))
    assert.ok(deleting.metadata.deletionTimestamp)
    assert.equal(deleting.metadata.deletionGracePeriodSeconds, 0)
    const type = 'application/merge-patch+json'
    const added = await api.request('PATCH', path, {
      body: { metadata: { finalizers: ['example.org/hold', 'example.org/new'] } },
      type,
    })
    assert.deepEqual(
      [added.status, added.body.message],
      [
        422,
        'ConfigMap "held" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.org/new"}',
      ],
    )
    assert.equal((await api.request('PATCH', path, { body: { metadata: { finalizers: null } }, type })).status, 200)
    assert.equal((await api.request('GET', path)).status, 404)
  })

  test('of a collection takes what the selector names', async () => {
    for (const name of ['c1', 'c2']) await create(name, {}, { labels: { suite: name } })
    assert.equal((await api.request('DELETE', `${configMaps}?labelSelector=suite%3Dc1`)).status, 200)
    assert.equal((await api.request('GET', `${configMaps}/c1`)).status, 404)
    assert.equal((await api.request('GET', `${configMaps}/c2`)).status, 200)
  })
})

describe('Service', () => {
  const services = `/api/v1/namespaces/${namespace}/services`

  test('gets an address and defaults, and keeps both', async () => {
    const body = {
      metadata: { name: 'svc' },
      spec: {
        selector: { app: 'a' },
        ports: [
          { name: 'smtp', port: 25 },
          { name: 'imap', port: 993, targetPort: 'imaps' },
        ],
      },
    }
    const created = objectOf(await api.request('POST', services, { body }))
    const spec = created.spec as { clusterIP: string; type: string; ports: JsonObject[] }
    assert.match(spec.clusterIP, /^\d+\.\d+\.\d+\.\d+$/)
    assert.deepEqual(spec.ports, [
      { name: 'smtp', port: 25, protocol: 'TCP', targetPort: 25 },
      { name: 'imap', port: 993, protocol: 'TCP', targetPort: 'imaps' },
    ])
    const again = objectOf(await api.request('PUT', `${services}/svc`, { body }))
    assert.deepEqual(again.spec, created.spec)
    assert.equal(again.metadata.resourceVersion, created.metadata.resourceVersion)
  })

  test('as a load balancer keeps its class', async () => {
    const body = (spec: JsonObject) => ({
      body: { metadata: { name: 'lb' }, spec: { type: 'LoadBalancer', ports: [{ port: 25 }], ...spec } },
    })
    await api.request('POST', services, body({}))
    const changed = await api.request('PUT', `${services}/lb`, body({ loadBalancerClass: 'example.org/b' }))
    assert.deepEqual(
      [changed.status, changed.body.message],
      [422, 'Service "lb" is invalid: spec.loadBalancerClass: Invalid value: "example.org/b": may not change once set'],
    )
    const inside = await api.request('PUT', `${services}/lb`, body({ type: 'ClusterIP' }))
    assert.equal(inside.status, 200)
    const again = await api.request('PUT', `${services}/lb`, body({ loadBalancerClass: 'example.org/b' }))
    assert.equal(again.status, 200)
    const taken = await api.request('PUT', `${services}/lb`, body({}))
    assert.match(taken.body.message as string, /spec.loadBalancerClass: Invalid value: .*: may not change once set$/)
  })

  test('without ports is refused, without a name among several too', async () => {
    const none = await api.request('POST', services, { body: { metadata: { name: 'none' }, spec: {} } })
    assert.deepEqual([none.status, none.body.message], [422, 'Service "none" is invalid: spec.ports: Required value'])
    const unnamed = await api.request('POST', services, {
      body: { metadata: { name: 'none' }, spec: { ports: [{ port: 1 }, { port: 2, name: 'b' }] } },
    })
    assert.deepEqual(
      [unnamed.status, unnamed.body.message],
      [422, 'Service "none" is invalid: spec.ports[0].name: Required value'],
    )
  })
})

describe('addresses that lead nowhere', () => {
  for (const [method, path, code, reason] of [
    ['GET', '/api/v1/nonsense', 404, 'NotFound'],
    ['GET', '/apis/nonsense.example/v1/things', 404, 'NotFound'],
    ['POST', `/api/v1/namespaces/${namespace}/configmaps/x`, 405, 'MethodNotAllowed'],
    ['PUT', configMaps, 405, 'MethodNotAllowed'],
  ] as const) {
    test(`${method} ${path.replace(namespace, 'NS')} is ${code}`, async () => {
      const answer = await api.request(method, path, method === 'GET' ? {} : { body: configMap('x') })
      assert.equal(answer.status, code)
      if (answer.body.reason) assert.equal(answer.body.reason, reason)
    })
  }

  test('without credentials 401', async () => {
    const { status } = await api.anonymous().request('GET', '/api/v1/namespaces', { token: 'wrong' })
    assert.equal(status, 401)
  })

  test('nothing acceptable is 406', async () => {
    const { status } = await api.request('GET', configMaps, { accept: 'image/png' })
    assert.equal(status, 406)
  })
})
