/** Create, read, list, update and patch of built-in kinds: the same on this API and on a real one. */
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

describe('create', () => {
  test('answers 201 with what the server decided', async () => {
    const answer = await api.request('POST', configMaps, { body: configMap('created', { a: 'b' }) })
    const { metadata } = objectOf(answer)
    assert.equal(answer.status, 201)
    assert.match(metadata.uid ?? '', /^[0-9a-f-]{36}$/)
    assert.match(metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.equal(metadata.namespace, namespace)
    assert.equal(metadata.generation, undefined)
    assert.deepEqual(
      metadata.managedFields?.map(({ time: _time, ...entry }) => entry),
      [
        {
          manager: 'conformance',
          operation: 'Update',
          apiVersion: 'v1',
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:data': { '.': {}, 'f:a': {} } },
        },
      ],
    )
  })

  test('generateName appends five characters', async () => {
    const answer = await api.request('POST', configMaps, { body: { metadata: { generateName: 'made-' } } })
    assert.match(objectOf(answer).metadata.name, /^made-[a-z0-9]{5}$/)
  })

  test('dryRun=All stores nothing', async () => {
    const answer = await api.request('POST', `${configMaps}?dryRun=All`, { body: configMap('dry') })
    assert.equal(answer.status, 201)
    assert.equal((await api.request('GET', `${configMaps}/dry`)).status, 404)
  })

  const refusals: [string, string, unknown, number, string | undefined, string][] = [
    ['a second time', configMaps, configMap('twice'), 409, 'AlreadyExists', 'configmaps "twice" already exists'],
    [
      'without a name',
      configMaps,
      { metadata: {} },
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
    [
      'in a missing namespace',
      '/api/v1/namespaces/missing-one/configmaps',
      configMap('x'),
      404,
      'NotFound',
      'namespaces "missing-one" not found',
    ],
    ['of another API version', configMaps, { ...configMap('x'), apiVersion: 'v2' }, 400, 'BadRequest', ''],
    [
      'for another namespace',
      configMaps,
      configMap('x', {}, { namespace: 'default' }),
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
    [
      'with a resourceVersion',
      configMaps,
      configMap('x', {}, { resourceVersion: '1' }),
      500,
      undefined,
      'resourceVersion should not be set on objects to be created',
    ],
    [
      'with an unknown field, strictly',
      `${configMaps}?fieldValidation=Strict`,
      { ...configMap('x'), dta: {} },
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta"',
    ],
    [
      'with a bad name',
      configMaps,
      configMap('Upper'),
      422,
      'Invalid',
      `ConfigMap "Upper" is invalid: metadata.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
    ],
    [
      'with a bad key',
      configMaps,
      configMap('x', { 'a b': '' }),
      422,
      'Invalid',
      `ConfigMap "x" is invalid: data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
    ],
  ]
  for (const [what, path, body, code, reason, message] of refusals) {
    test(`${what} is ${code} ${reason}`, async () => {
      if (what === 'a second time') await create('twice')
      const answer = await api.request('POST', path, { body })
      assert.deepEqual(
        { status: answer.status, code: answer.body.code, reason: answer.body.reason, kind: answer.body.kind },
        { status: code, code, reason, kind: 'Status' },
      )
      if (message) assert.equal(answer.body.message, message)
    })
  }

  test('an unknown field is a warning by default', async () => {
    const answer = await api.request('POST', configMaps, { body: { ...configMap('warned'), dta: {} } })
    assert.equal(answer.status, 201)
    assert.equal(answer.headers.warning, '299 - "unknown field \\"dta\\""')
  })

  test('malformed JSON is 400, an unknown media type 415, a huge body 413', async () => {
    const malformed = await api.request('POST', configMaps, { body: '{' })
    assert.deepEqual([malformed.status, malformed.body.reason], [400, 'BadRequest'])
    const strange = await api.request('POST', configMaps, { body: 'x', type: 'text/plain' })
    assert.deepEqual([strange.status, strange.body.reason], [415, 'UnsupportedMediaType'])
    const huge = await api.request('POST', configMaps, { body: configMap('x', { a: 'x'.repeat(3_300_000) }) })
    assert.deepEqual([huge.status, huge.body.reason], [413, 'RequestEntityTooLarge'])
  })

  test('YAML is as good as JSON', async () => {
    const answer = await api.request('POST', configMaps, {
      body: 'metadata:\n  name: from-yaml\ndata: {a: "1"}\n',
      type: 'application/yaml',
    })
    assert.deepEqual(objectOf(answer).data, { a: '1' })
  })

  test('a Secret keeps stringData as data', async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets`
    const secret = objectOf(
      await api.request('POST', path, {
        body: { metadata: { name: 's' }, stringData: { a: 'x' }, data: { b: 'eQ==' } },
      }),
    )
    assert.deepEqual([secret.data, secret.stringData, secret.type], [{ a: 'eA==', b: 'eQ==' }, undefined, 'Opaque'])
  })
})

describe('list', () => {
  test('selects by labels and fields', async () => {
    const labels = { suite: 'list', tier: 'one' }
    await create('l1', {}, { labels })
    await create('l2', {}, { labels: { ...labels, tier: 'two' } })
    await create('l3', {}, { labels: { ...labels, extra: '' } })
    const names = async (query: string) => {
      const { body } = await api.request('GET', `${configMaps}?${query}`)
      return (body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name)
    }
    assert.deepEqual(await names('labelSelector=suite%3Dlist'), ['l1', 'l2', 'l3'])
    assert.deepEqual(await names('labelSelector=suite%3Dlist,tier!%3Done'), ['l2'])
    assert.deepEqual(await names(`labelSelector=${encodeURIComponent('suite in (list),tier notin (two),!extra')}`), [
      'l1',
    ])
    assert.deepEqual(await names(`labelSelector=${encodeURIComponent('suite==list,extra')}`), ['l3'])
    assert.deepEqual(await names('fieldSelector=metadata.name%3Dl2'), ['l2'])
    const refused = await api.request('GET', `${configMaps}?fieldSelector=data.a%3Db`)
    assert.equal(refused.status, 400)
    assert.equal(
      refused.body.message,
      '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )
    assert.equal((await api.request('GET', `${configMaps}?labelSelector=${encodeURIComponent('a in b')}`)).status, 400)
  })

  test('pages by limit and continue', async () => {
    for (const name of ['p1', 'p2', 'p3']) await create(name, {}, { labels: { suite: 'page' } })
    const first = await api.request('GET', `${configMaps}?labelSelector=suite%3Dpage&limit=2`)
    const { metadata, items } = first.body as {
      metadata: { continue: string; resourceVersion: string }
      items: JsonObject[]
    }
    assert.equal(items.length, 2)
    const second = await api.request(
      'GET',
      `${configMaps}?labelSelector=suite%3Dpage&limit=2&continue=${metadata.continue}`,
    )
    const last = second.body as { metadata: { continue?: string; resourceVersion: string }; items: JsonObject[] }
    assert.deepEqual(
      [last.items.length, last.metadata.continue, last.metadata.resourceVersion],
      [1, undefined, metadata.resourceVersion],
    )
    assert.equal((await api.request('GET', `${configMaps}?limit=2&continue=nonsense`)).status, 400)
  })

  test('items of built-in kinds carry no kind', async () => {
    const { body } = await api.request('GET', configMaps)
    const [item] = body.items as JsonObject[]
    assert.deepEqual([body.kind, body.apiVersion, item?.kind], ['ConfigMapList', 'v1', undefined])
  })

  test('a revision from the future is 504', async () => {
    const { status, body } = await api.request('GET', `${configMaps}?resourceVersion=99999999999`)
    assert.deepEqual([status, body.reason], [504, 'Timeout'])
  })
})

describe('update', () => {
  test('keeps system metadata, changes the revision, and only when something changed', async () => {
    const before = await create('updated', { a: '1' })
    const path = `${configMaps}/updated`
    const same = objectOf(await api.request('PUT', path, { body: before }))
    assert.equal(same.metadata.resourceVersion, before.metadata.resourceVersion)
    const after = objectOf(await api.request('PUT', path, { body: configMap('updated', { a: '2' }) }))
    assert.deepEqual(
      [after.metadata.uid, after.metadata.creationTimestamp],
      [before.metadata.uid, before.metadata.creationTimestamp],
    )
    assert.notEqual(after.metadata.resourceVersion, before.metadata.resourceVersion)
    const stale = await api.request('PUT', path, { body: before })
    assert.deepEqual(
      [stale.status, stale.body.reason, stale.body.message],
      [
        409,
        'Conflict',
        'Operation cannot be fulfilled on configmaps "updated": the object has been modified; please apply your changes to the latest version and try again',
      ],
    )
    const other = await api.request('PUT', path, { body: configMap('updated', {}, { uid: 'other' }) })
    assert.equal(other.status, 409)
    const renamed = await api.request('PUT', path, { body: configMap('renamed') })
    assert.deepEqual(
      [renamed.status, renamed.body.message],
      [400, 'the name of the object (renamed) does not match the name on the URL (updated)'],
    )
  })

  test('of a missing object is 404', async () => {
    const { status, body } = await api.request('PUT', `${configMaps}/nowhere`, { body: configMap('nowhere') })
    assert.deepEqual(
      [status, body.message, body.details],
      [404, 'configmaps "nowhere" not found', { name: 'nowhere', kind: 'configmaps' }],
    )
  })

  test('an immutable ConfigMap stays', async () => {
    await api.request('POST', configMaps, { body: { ...configMap('fixed', { a: '1' }), immutable: true } })
    const { status, body } = await api.request('PATCH', `${configMaps}/fixed`, {
      body: { data: { a: '2' } },
      type: 'application/merge-patch+json',
    })
    assert.deepEqual(
      [status, body.message],
      [422, 'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set'],
    )
  })
})

describe('patch', () => {
  test('JSON patch, merge patch, strategic merge patch', async () => {
    await create('patched', { a: '1', b: '2' })
    const path = `${configMaps}/patched`
    const patch = async (type: string, body: unknown) =>
      (await api.request('PATCH', path, { body, type: `application/${type}+json` })).body
    assert.deepEqual(
      (
        await patch('json-patch', [
          { op: 'test', path: '/data/a', value: '1' },
          { op: 'remove', path: '/data/a' },
          { op: 'add', path: '/data/c', value: '3' },
        ])
      ).data,
      { b: '2', c: '3' },
    )
    assert.deepEqual((await patch('merge-patch', { data: { b: null, d: '4' } })).data, { c: '3', d: '4' })
    assert.deepEqual((await patch('strategic-merge-patch', { data: { c: null } })).data, { d: '4' })
    assert.equal((await patch('json-patch', [{ op: 'test', path: '/data/d', value: 'other' }])).code, 422)
    assert.equal((await patch('json-patch', [{ op: 'remove', path: '/data/none' }])).code, 422)
    assert.equal((await patch('json-patch', { op: 'remove' })).code, 400)
  })

  test('strategic merge knows the merge keys of a Deployment', async () => {
    const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`
    const container = (name: string, image: string) => ({
      name,
      image,
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
      ports: [{ containerPort: 80 }],
    })
    await api.request('POST', deployments, {
      body: {
        metadata: { name: 'd' },
        spec: {
          replicas: 0,
          selector: { matchLabels: { app: 'd' } },
          template: {
            metadata: { labels: { app: 'd' } },
            spec: { containers: [container('one', 'i:1'), container('two', 'i:1')] },
          },
        },
      },
    })
    const body = {
      spec: {
        template: {
          spec: {
            containers: [
              {
                name: 'two',
                image: 'i:2',
                env: [
                  { name: 'A', $patch: 'delete' },
                  { name: 'C', value: '3' },
                ],
              },
            ],
          },
        },
      },
    }
    const patched = objectOf(
      await api.request('PATCH', `${deployments}/d`, { body, type: 'application/strategic-merge-patch+json' }),
    )
    const { containers } = (
      patched.spec as {
        template: {
          spec: { containers: { name: string; image: string; env: { name: string }[]; ports: JsonObject[] }[] }
        }
      }
    ).template.spec
    assert.deepEqual(
      containers.map(({ name, image }) => [name, image]),
      [
        ['one', 'i:1'],
        ['two', 'i:2'],
      ],
    )
    assert.deepEqual(new Set(containers[1]?.env.map(({ name }) => name)), new Set(['B', 'C']))
    assert.deepEqual(containers[1]?.ports, [{ containerPort: 80, protocol: 'TCP' }])
    assert.equal(patched.metadata.generation, 2)
    const wrong = await api.request('PATCH', `${deployments}/d`, {
      body: { spec: { replicas: 'many' } },
      type: 'application/merge-patch+json',
    })
    assert.equal(wrong.status, 422)
    const fixed = await api.request('PATCH', `${deployments}/d`, {
      body: { spec: { selector: { matchLabels: { app: 'e' } } } },
      type: 'application/merge-patch+json',
    })
    assert.equal(fixed.status, 422)
    assert.match(String(fixed.body.message), /spec.selector: Invalid value: .*field is immutable/)
  })

  test('of an unknown kind is 415', async () => {
    await create('unpatched')
    const { status, body } = await api.request('PATCH', `${configMaps}/unpatched`, {
      body: {},
      type: 'application/json',
    })
    assert.deepEqual([status, body.reason], [415, 'UnsupportedMediaType'])
  })
})
