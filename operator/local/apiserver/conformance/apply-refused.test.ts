/** Server-side applies that are refused, only tried, or handed over by hand. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isObject, type JsonObject } from '../json.ts'
import { type Answer, connect, eventually, objectOf } from './client.ts'
import { widgetCrd } from './testdata.ts'

const { api, namespace, deleteAfterwards } = await connect()
const { group, crd } = widgetCrd()
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const widgets = `/apis/${group}/v1/namespaces/${namespace}/widgets`
await api.request('POST', crds, { body: crd })
deleteAfterwards(`${crds}/widgets.${group}`)
await eventually(
  async () => ((await api.request('GET', widgets)).status === 200 ? true : undefined),
  'the CRD is served',
)
const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`

const APPLY = 'application/apply-patch+yaml'
/** Applies under the name that the path ends in. */
const apply = (path: string, body: JsonObject, query = 'fieldManager=one') => {
  const metadata = {
    ...(isObject(body.metadata) && body.metadata),
    name: path
      .replace(/\/status$/, '')
      .split('/')
      .at(-1),
  }
  return api.request('PATCH', `${path}?${query}`, { body: { ...body, metadata }, type: APPLY })
}
const configMap = (data: JsonObject, metadata: JsonObject = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata,
  data,
})
const widget = (spec: JsonObject, more: JsonObject = {}) => ({
  apiVersion: `${group}/v1`,
  kind: 'Widget',
  spec,
  ...more,
})
const _fieldsOf = (answer: Answer, manager: string, subresource?: string) =>
  objectOf(answer).metadata.managedFields?.find(
    (entry) => entry.manager === manager && entry.subresource === subresource,
  )?.fieldsV1
const _spec = (answer: Answer) => objectOf(answer).spec as JsonObject

const _deployment = (container: JsonObject, more: JsonObject = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  spec: {
    selector: { matchLabels: { app: 'a' } },
    template: {
      metadata: { labels: { app: 'a' } },
      spec: { containers: [{ name: 'engine', image: 'i:1', ...container }] },
    },
    ...more,
  },
})

describe('a refused apply', () => {
  test('needs a field manager', async () => {
    const { status, body } = await apply(`${configMaps}/x`, configMap({}), '')
    assert.deepEqual(
      [status, body.message],
      [422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'],
    )
  })
  test('names a field that the schema lacks', async () => {
    const { status, body } = await apply(`${widgets}/x`, widget({ hostname: 'a', hostnaem: 'b' }))
    assert.equal(status, 500)
    assert.equal(
      String(body.message).replace(group, 'G'),
      'failed to create typed patch object (/x; G/v1, Kind=Widget): .spec.hostnaem: field not declared in schema',
    )
  })
  test('must name what it creates', async () => {
    const { status, body } = await api.request('PATCH', `${configMaps}/x?fieldManager=one`, {
      body: configMap({}),
      type: APPLY,
    })
    assert.deepEqual(
      [status, body.message],
      [400, 'the name of the object (x based on URL) was undeterminable: name must be provided'],
    )
  })
  test('names a value of the wrong type', async () => {
    const { body } = await apply(`${deployments}/x`, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'x' },
      spec: { replicas: 'x' },
    })
    assert.equal(
      body.message,
      'failed to create typed patch object (/x; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string',
    )
  })
  test('carries no managedFields', async () => {
    const { status, body } = await apply(
      `${configMaps}/x`,
      configMap({}, { managedFields: [{ manager: 'x', operation: 'Apply' }] }),
    )
    assert.deepEqual([status, body.message], [400, 'metadata.managedFields must be nil'])
  })
  test('by an old revision is a conflict', async () => {
    await apply(`${configMaps}/revised`, configMap({ a: '1' }))
    const { status } = await apply(`${configMaps}/revised`, configMap({ a: '2' }, { resourceVersion: '1' }))
    assert.equal(status, 409)
  })
  test('by uid makes nothing in the place of what is gone or another', async () => {
    const path = `${configMaps}/one-and-only`
    const { uid = '' } = objectOf(await apply(path, configMap({ a: '1' }))).metadata
    const changed = objectOf(await apply(path, configMap({ a: '2' }, { uid })))
    assert.deepEqual([changed.metadata.uid, changed.data], [uid, { a: '2' }])
    assert.equal(JSON.stringify(changed.metadata.managedFields).includes('f:uid'), false)
    await api.request('DELETE', path)
    const gone = await apply(path, configMap({ a: '3' }, { uid }))
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`
    const message = `Operation cannot be fulfilled on configmaps "one-and-only": ${why}`
    assert.deepEqual([gone.status, gone.body.reason, gone.body.message], [409, 'Conflict', message])
    await apply(path, configMap({ a: '3' }))
    const another = await apply(path, configMap({ a: '4' }, { uid }))
    const immutable = `metadata.uid: Invalid value: "${uid}": field is immutable`
    assert.deepEqual([another.status, another.body.message], [422, `ConfigMap "one-and-only" is invalid: ${immutable}`])
  })
  test('of an invalid object is 422', async () => {
    const { status, body } = await apply(`${widgets}/x`, widget({ hostname: 'A' }))
    assert.deepEqual([status, body.reason], [422, 'Invalid'])
  })
})

test('a dry run says what would be and stores nothing', async () => {
  const path = `${configMaps}/dry`
  assert.equal((await apply(path, configMap({ a: '1' }), 'fieldManager=one&dryRun=All')).status, 201)
  assert.equal((await api.request('GET', path)).status, 404)
})

test('managedFields can be handed over by a patch and forgotten by [{}]', async () => {
  const path = `${configMaps}/handed`
  await api.request('POST', configMaps, { body: configMap({ a: '1' }, { name: 'handed' }) })
  const fields = [
    {
      manager: 'one',
      operation: 'Apply',
      apiVersion: 'v1',
      fieldsType: 'FieldsV1',
      time: '2026-01-01T00:00:00Z',
      fieldsV1: { 'f:data': { 'f:a': {} } },
    },
  ]
  const replace = (value: unknown) =>
    api.request('PATCH', path, {
      body: [{ op: 'replace', path: '/metadata/managedFields', value }],
      type: 'application/json-patch+json',
    })
  const handed = await replace(fields)
  assert.deepEqual(objectOf(handed).metadata.managedFields, fields)
  const answer = await apply(path, configMap({ b: '1' }))
  assert.deepEqual(objectOf(answer).data, { b: '1' })
  const forgotten = await replace([{}])
  assert.equal(objectOf(forgotten).metadata.managedFields, undefined)
})
