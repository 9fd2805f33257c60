/** Server-side apply and managedFields: ownership, conflicts, removal, no-ops; beside updates by others. */
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
const fieldsOf = (answer: Answer, manager: string, subresource?: string) =>
  objectOf(answer).metadata.managedFields?.find(
    (entry) => entry.manager === manager && entry.subresource === subresource,
  )?.fieldsV1
const spec = (answer: Answer) => objectOf(answer).spec as JsonObject

const deployment = (container: JsonObject, more: JsonObject = {}) => ({
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

test('an apply creates, with 201, and owns what it said', async () => {
  const answer = await apply(`${configMaps}/created`, configMap({ a: '1' }, { labels: { x: 'y' } }))
  assert.equal(answer.status, 201)
  const [entry] = objectOf(answer).metadata.managedFields ?? []
  assert.deepEqual(
    { ...entry, time: undefined },
    {
      manager: 'one',
      operation: 'Apply',
      apiVersion: 'v1',
      fieldsType: 'FieldsV1',
      time: undefined,
      fieldsV1: { 'f:data': { 'f:a': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } },
    },
  )
})

test('a second, equal apply writes nothing', async () => {
  const cases: [string, JsonObject][] = [
    [`${configMaps}/same`, configMap({ a: '1' }, { labels: { x: 'y' }, annotations: { n: 'm' } })],
    [
      `${deployments}/same`,
      deployment(
        {
          ports: [{ containerPort: 25 }],
          env: [{ name: 'A', value: 'b' }],
          resources: { limits: { cpu: 1, memory: '1024Mi' } },
          readinessProbe: { httpGet: { path: '/ready', port: 8080 } },
        },
        { replicas: 0 },
      ),
    ],
    [`${widgets}/same`, widget({ hostname: 'a', domains: [{ name: 'd' }], tags: ['t'], port: 25 })],
    [
      `/api/v1/namespaces/${namespace}/services/same`,
      {
        apiVersion: 'v1',
        kind: 'Service',
        spec: { selector: { a: 'b' }, ports: [{ name: 'smtp', port: 25, targetPort: 'smtp' }] },
      },
    ],
    [`/api/v1/namespaces/${namespace}/secrets/same`, { apiVersion: 'v1', kind: 'Secret', data: { a: 'Yg==' } }],
    [
      `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/same`,
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        spec: { maxUnavailable: 1, selector: { matchLabels: { nothing: 'here' } } },
      },
    ],
    [
      `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/same`,
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        spec: { podSelector: { matchLabels: { a: 'b' } }, ingress: [{ ports: [{ port: 25 }] }] },
      },
    ],
    [
      `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers/same`,
      {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        spec: {
          scaleTargetRef: { kind: 'Widget', name: 'none', apiVersion: 'example.org/v1' },
          maxReplicas: 3,
          metrics: [
            { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } },
          ],
        },
      },
    ],
  ]
  for (const [path, body] of cases) {
    const first = await apply(path, body)
    assert.equal(first.status, 201, `${path}: ${first.text}`)
    const second = await apply(path, body)
    assert.equal(second.status, 200)
    const owned = (answer: Answer) => objectOf(answer).metadata.managedFields?.find(({ manager }) => manager === 'one')
    assert.deepEqual(
      [objectOf(second).spec, objectOf(second).metadata.generation, owned(second)],
      [objectOf(first).spec, objectOf(first).metadata.generation, owned(first)],
      path,
    )
  }
})

test('what a manager applies no more goes, unless another owns it', async () => {
  const path = `${configMaps}/removed`
  await apply(path, configMap({ a: '1', b: '2', c: '3' }))
  await apply(path, configMap({ b: '2' }), 'fieldManager=two')
  await api.request('PATCH', path, { body: { data: { d: '4' } }, type: 'application/merge-patch+json' })
  const answer = await apply(path, configMap({ a: '1' }))
  assert.deepEqual(objectOf(answer).data, { a: '1', b: '2', d: '4' })
  assert.deepEqual(fieldsOf(answer, 'one'), { 'f:data': { 'f:a': {} } })
  assert.deepEqual(fieldsOf(answer, 'two'), { 'f:data': { 'f:b': {} } })
  assert.deepEqual(fieldsOf(answer, 'conformance'), { 'f:data': { 'f:d': {} } })
})

describe('conflicts', () => {
  test('a field of another manager is a 409 with a cause for it', async () => {
    const path = `${configMaps}/contested`
    await apply(path, configMap({ a: '1', b: '1' }))
    const { status, body } = await apply(path, configMap({ a: '2' }), 'fieldManager=two')
    assert.equal(status, 409)
    assert.equal(body.message, 'Apply failed with 1 conflict: conflict with "one": .data.a')
    assert.deepEqual(
      [body.reason, body.details],
      ['Conflict', { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' }] }],
    )
    const many = await apply(path, configMap({ a: '2', b: '2' }), 'fieldManager=two')
    assert.equal(many.body.message, 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b')
  })

  test('with an updater the cause says by which version', async () => {
    const path = `${configMaps}/updated`
    await api.request('POST', configMaps, { body: configMap({ a: '1' }, { name: 'updated' }) })
    const { body } = await apply(path, configMap({ a: '2' }))
    assert.equal(body.message, 'Apply failed with 1 conflict: conflict with "conformance" using v1: .data.a')
  })

  test('force takes the field over; the same value is shared', async () => {
    const path = `${configMaps}/forced`
    await apply(path, configMap({ a: '1', b: '1' }))
    const shared = await apply(path, configMap({ b: '1' }), 'fieldManager=two')
    assert.deepEqual(
      [fieldsOf(shared, 'one'), fieldsOf(shared, 'two')],
      [{ 'f:data': { 'f:a': {}, 'f:b': {} } }, { 'f:data': { 'f:b': {} } }],
    )
    const forced = await apply(path, configMap({ a: '2', b: '1' }), 'fieldManager=two&force=true')
    assert.deepEqual(
      [fieldsOf(forced, 'one'), fieldsOf(forced, 'two')],
      [{ 'f:data': { 'f:b': {} } }, { 'f:data': { 'f:a': {}, 'f:b': {} } }],
    )
  })

  test('an update takes fields without asking', async () => {
    const path = `${configMaps}/taken`
    await apply(path, configMap({ a: '1', b: '1' }))
    const patched = await api.request('PATCH', `${path}?fieldManager=hand`, {
      body: { data: { a: '2' } },
      type: 'application/merge-patch+json',
    })
    assert.deepEqual(
      [fieldsOf(patched, 'one'), fieldsOf(patched, 'hand')],
      [{ 'f:data': { 'f:b': {} } }, { 'f:data': { 'f:a': {} } }],
    )
  })
})

describe('lists', () => {
  test('a map list is merged by its keys, item by item', async () => {
    const path = `${widgets}/lists`
    await apply(
      path,
      widget({
        hostname: 'a',
        domains: [{ name: 'x', policy: 'none' }],
        tags: ['a', 'b'],
        hosts: ['one'],
        ref: { name: 'n' },
      }),
    )
    const two = await apply(path, widget({ domains: [{ name: 'y' }], tags: ['c'] }), 'fieldManager=two')
    assert.deepEqual(spec(two).domains, [
      { name: 'x', policy: 'none' },
      { name: 'y', policy: 'reject' },
    ])
    assert.deepEqual(new Set(spec(two).tags as string[]), new Set(['a', 'b', 'c']))
    assert.deepEqual(fieldsOf(two, 'two'), {
      'f:spec': { 'f:domains': { 'k:{"name":"y"}': { '.': {}, 'f:name': {} } }, 'f:tags': { 'v:"c"': {} } },
    })
    assert.deepEqual(fieldsOf(two, 'one'), {
      'f:spec': {
        'f:domains': { 'k:{"name":"x"}': { '.': {}, 'f:name': {}, 'f:policy': {} } },
        'f:hostname': {},
        'f:hosts': {},
        'f:ref': {},
        'f:tags': { 'v:"a"': {}, 'v:"b"': {} },
      },
    })
    const atomic = await apply(path, widget({ hosts: ['two'], ref: { key: 'k' } }), 'fieldManager=two')
    assert.equal(
      atomic.body.message,
      'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.hosts\n- .spec.ref',
    )
    const gone = await apply(path, widget({ hostname: 'a', tags: ['a'] }))
    assert.deepEqual(
      [spec(gone).domains, new Set(spec(gone).tags as string[]), spec(gone).hosts],
      [[{ name: 'y', policy: 'reject' }], new Set(['a', 'c']), undefined],
    )
  })

  test('containers, ports and env have keys; a removed one goes alone', async () => {
    const path = `${deployments}/lists`
    await apply(
      path,
      deployment(
        {
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
          ports: [
            { name: 'smtp', containerPort: 25 },
            { name: 'imap', containerPort: 993 },
          ],
        },
        { replicas: 0 },
      ),
    )
    const answer = await apply(
      path,
      deployment({ env: [{ name: 'B', value: '2' }], ports: [{ name: 'imap', containerPort: 993 }] }, { replicas: 0 }),
    )
    const { containers } = (spec(answer).template as { spec: { containers: JsonObject[] } }).spec
    assert.deepEqual(
      [containers[0]?.env, containers[0]?.ports],
      [[{ name: 'B', value: '2' }], [{ name: 'imap', containerPort: 993, protocol: 'TCP' }]],
    )
    const fields = fieldsOf(answer, 'one') as {
      'f:spec': { 'f:template': { 'f:spec': { 'f:containers': JsonObject } } }
    }
    assert.deepEqual(fields['f:spec']['f:template']['f:spec']['f:containers'], {
      'k:{"name":"engine"}': {
        '.': {},
        'f:name': {},
        'f:image': {},
        'f:env': { 'k:{"name":"B"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
        'f:ports': { 'k:{"containerPort":993,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:containerPort': {} } },
      },
    })
    const image = await apply(path, deployment({ image: 'i:2' }), 'fieldManager=two')
    assert.match(String(image.body.message), /\.spec\.template\.spec\.containers\[name="engine"\]\.image/)
  })
})

test('replicas left to another manager stay as they are', async () => {
  const path = `${deployments}/handed`
  await apply(path, deployment({}, { replicas: 0 }))
  await api.request('PATCH', `${path}/scale`, { body: { spec: { replicas: 0 } }, type: 'application/merge-patch+json' })
  await apply(path, { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 0 } }, 'fieldManager=scaler')
  const answer = await apply(path, deployment({}))
  assert.equal(spec(answer).replicas, 0)
})

test('dropping a defaulted field brings its default back', async () => {
  const path = `${widgets}/defaulted`
  await apply(path, widget({ hostname: 'a', replicas: 7 }))
  const answer = await apply(path, widget({ hostname: 'a' }))
  assert.equal(spec(answer).replicas, 2)
})

test('status has its own owners and ignores all else', async () => {
  const path = `${widgets}/halves`
  await apply(path, widget({ hostname: 'a' }, { status: { phase: 'Mine' } }))
  const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }]
  const body = widget({ hostname: 'b' }, { status: { phase: 'Ready', conditions } })
  const answer = await apply(`${path}/status`, body, 'fieldManager=one&force=true')
  assert.equal(answer.status, 200)
  assert.deepEqual([spec(answer).hostname, objectOf(answer).status], ['a', { phase: 'Ready', conditions }])
  assert.deepEqual(fieldsOf(answer, 'one'), { 'f:spec': { 'f:hostname': {} } })
  assert.deepEqual(fieldsOf(answer, 'one', 'status'), {
    'f:status': {
      'f:conditions': { 'k:{"type":"Ready"}': { '.': {}, 'f:lastTransitionTime': {}, 'f:status': {}, 'f:type': {} } },
      'f:phase': {},
    },
  })
  const again = await apply(`${path}/status`, body, 'fieldManager=one&force=true')
  assert.equal(objectOf(again).metadata.resourceVersion, objectOf(answer).metadata.resourceVersion)
})
