/** CustomResourceDefinitions: registration, defaulting, pruning, validation and CEL rules, as a real server does them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject } from '../json.ts'
import { type Answer, connect, eventually, objectOf } from './client.ts'
import { widgetCrd } from './testdata.ts'

const { api, namespace, deleteAfterwards } = await connect()
const { group, crd } = widgetCrd()
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const widgets = `/apis/${group}/v1/namespaces/${namespace}/widgets`
const created = await api.request('POST', crds, { body: crd })
await eventually(
  async () => ((await api.request('GET', widgets)).status === 200 ? true : undefined),
  'the CRD is served',
)
deleteAfterwards(`${crds}/widgets.${group}`)

const widget = (name: string, spec: JsonObject | undefined, more: JsonObject = {}) => ({
  apiVersion: `${group}/v1`,
  kind: 'Widget',
  metadata: { name },
  ...(spec && { spec }),
  ...more,
})
const post = (body: unknown, query = '') => api.request('POST', widgets + query, { body })
const mergePatch = (name: string, body: unknown) =>
  api.request('PATCH', `${widgets}/${name}`, { body, type: 'application/merge-patch+json' })
const problem = ({ status, body }: Answer) => [status, String(body.message).replaceAll(group, 'G')]

test('a CRD gets its names, its stored version and its conditions', async () => {
  assert.equal(created.status, 201)
  const object = await eventually(async () => {
    const found = objectOf(await api.request('GET', `${crds}/widgets.${group}`))
    const { conditions } = found.status as { conditions: { type: string; status: string }[] }
    return conditions.some(({ type, status }) => type === 'Established' && status === 'True') ? found : undefined
  }, 'Established')
  const { storedVersions, acceptedNames } = object.status as { storedVersions: string[]; acceptedNames: JsonObject }
  assert.deepEqual(storedVersions, ['v1'])
  assert.equal(acceptedNames.listKind, 'WidgetList')
})

test('defaults are filled in and unknown fields pruned', async () => {
  const answer = await post(
    widget('defaulted', {
      hostname: 'a.b',
      domains: [{ name: 'd', extra: 1 }],
      free: { any: { thing: 1 } },
      unknown: true,
      labels: { a: 'b' },
    }),
  )
  assert.equal(answer.status, 201)
  const { spec, status, metadata } = objectOf(answer)
  assert.deepEqual(spec, {
    hostname: 'a.b',
    replicas: 2,
    mode: 'Safe',
    domains: [{ name: 'd', policy: 'reject' }],
    free: { any: { thing: 1 } },
    labels: { a: 'b' },
  })
  assert.deepEqual(status, { phase: 'Unknown' })
  assert.equal(metadata.generation, 1)
  assert.deepEqual(answer.headers.warning?.split(', 299').length, 2)
})

test('null is absent where it may not be, and kept where it may', async () => {
  const { spec } = objectOf(
    await post(
      widget('nulls', { hostname: 'a.b', replicas: null, domains: [{ name: 'd', note: null, policy: null }] }),
    ),
  )
  assert.deepEqual(spec, {
    hostname: 'a.b',
    replicas: 2,
    mode: 'Safe',
    domains: [{ name: 'd', policy: 'reject', note: null }],
  })
})

describe('an invalid object is 422 and says', () => {
  const cases: [string, JsonObject | undefined, string, 'unchecked'?][] = [
    ['a missing spec', undefined, 'spec: Required value', 'unchecked'],
    ['a missing field', {}, 'spec.hostname: Required value', 'unchecked'],
    [
      'a value outside the enum',
      { hostname: 'a', mode: 'Slow' },
      'spec.mode: Unsupported value: "Slow": supported values: "Fast", "Safe"',
      'unchecked',
    ],
    [
      'a string for an integer',
      { hostname: 'a', replicas: 'x' },
      'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string", .spec.replicas: Invalid value: 0: .spec.replicas accessor error: x is of the type string, expected int64',
      'unchecked',
    ],
    [
      'a number for a string',
      { hostname: 1 },
      'spec.hostname: Invalid value: "integer": spec.hostname in body must be of type string: "integer"',
      'unchecked',
    ],
    [
      'a value above the maximum',
      { hostname: 'a', replicas: 11 },
      'spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10',
    ],
    [
      'a value below the minimum',
      { hostname: 'a', replicas: -1 },
      '[spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0, .spec.replicas: Invalid value: -1: should be a non-negative integer]',
    ],
    [
      'a pattern that does not match',
      { hostname: 'A' },
      'spec.hostname: Invalid value: "A": spec.hostname in body should match \'^[a-z.]+$\'',
    ],
    [
      'too long a string',
      { hostname: 'a'.repeat(21) },
      'spec.hostname: Too long: may not be more than 20 bytes',
      'unchecked',
    ],
    [
      'too many items',
      { hostname: 'a', domains: ['b', 'c', 'd', 'e'].map((name) => ({ name })) },
      'spec.domains: Too many: 4: must have at most 3 items',
      'unchecked',
    ],
    [
      'a key twice',
      { hostname: 'a', domains: [{ name: 'b' }, { name: 'b' }] },
      'spec.domains[1]: Duplicate value: {"name":"b"}',
    ],
    ['a set item twice', { hostname: 'a', tags: ['x', 'x'] }, 'spec.tags[1]: Duplicate value: "x"'],
    [
      'a missing field in an item',
      { hostname: 'a', domains: [{}] },
      'spec.domains[0].name: Required value',
      'unchecked',
    ],
    [
      'neither int nor string',
      { hostname: 'a', port: true },
      'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
      'unchecked',
    ],
    [
      'none of oneOf',
      { hostname: 'a', either: {} },
      '<nil>: Invalid value: "": "spec.either" must validate one and only one schema (oneOf). Found none valid, spec.either.a: Required value',
      'unchecked',
    ],
    [
      'a broken rule with its own words',
      { hostname: 'a', min: 3, max: 1 },
      'spec.min: Forbidden: min 3 is above max 1',
    ],
    [
      'a broken rule with a message',
      { hostname: 'a', domains: [{ name: 'a' }] },
      'spec: Invalid value: a domain may not be the hostname',
    ],
    [
      'a broken rule without one',
      { hostname: 'a', tags: ['X'] },
      "spec: Invalid value: failed rule: !has(self.tags) || self.tags.all(t, t.matches('^[a-z]+$'))",
    ],
  ]
  // Problems of shape keep the rules from running, and the server says so.
  const unchecked =
    '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation'
  for (const [what, spec, message, rules] of cases) {
    test(what, async () => {
      const text = rules ? `[${message}, ${unchecked}]` : message
      assert.deepEqual(problem(await post(widget('bad', spec))), [422, `Widget.G "bad" is invalid: ${text}`])
    })
  }

  test('all problems at once, with a cause for each', async () => {
    const { body } = await post(widget('bad', { mode: 'Slow', replicas: 99 }))
    const { causes } = body.details as { causes: { field: string; reason: string }[] }
    assert.deepEqual(
      new Set(causes.map(({ field, reason }) => `${field} ${reason}`)),
      new Set([
        'spec.hostname FieldValueRequired',
        'spec.mode FieldValueNotSupported',
        'spec.replicas FieldValueInvalid',
        '<nil> FieldValueInvalid',
      ]),
    )
  })
})

test('unknown fields are refused when asked strictly', async () => {
  const [status, message] = problem(
    await post(widget('strict', { hostname: 'a', hostnaem: 'b' }), '?fieldValidation=Strict'),
  )
  assert.deepEqual(
    [status, message],
    [400, 'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.hostnaem"'],
  )
})

test('a transition rule holds on updates', async () => {
  await post(widget('moved', { hostname: 'a' }))
  assert.deepEqual(problem(await mergePatch('moved', { spec: { hostname: 'b' } })), [
    422,
    'Widget.G "moved" is invalid: spec.hostname: Invalid value: "b": hostname is immutable',
  ])
})

test('generation counts changes of spec, not of metadata or status', async () => {
  await post(widget('counted', { hostname: 'a' }))
  const generation = async (body: unknown, path = '') =>
    objectOf(await api.request('PATCH', `${widgets}/counted${path}`, { body, type: 'application/merge-patch+json' }))
      .metadata.generation
  assert.equal(await generation({ metadata: { labels: { a: 'b' } } }), 1)
  assert.equal(await generation({ spec: { replicas: 3 } }), 2)
  assert.equal(await generation({ status: { phase: 'Ready' } }, '/status'), 2)
})

test('the main address ignores status, the status address all else', async () => {
  await post(widget('halves', { hostname: 'a' }, { status: { phase: 'Mine' } }))
  const main = objectOf(await mergePatch('halves', { status: { phase: 'Mine' } }))
  assert.deepEqual(main.status, { phase: 'Unknown' })
  const status = objectOf(
    await api.request('PATCH', `${widgets}/halves/status`, {
      body: { spec: { replicas: 9 }, status: { phase: 'Ready' } },
      type: 'application/merge-patch+json',
    }),
  )
  assert.deepEqual([(status.spec as JsonObject).replicas, status.status], [2, { phase: 'Ready' }])
})

test('scale reads and writes the declared paths', async () => {
  await post(widget('scaled', { hostname: 'a' }))
  await api.request('PATCH', `${widgets}/scaled/status`, {
    body: { status: { replicas: 1, selector: 'app=scaled' } },
    type: 'application/merge-patch+json',
  })
  const scale = objectOf(await api.request('GET', `${widgets}/scaled/scale`))
  assert.deepEqual(
    [scale.apiVersion, scale.kind, scale.spec, scale.status],
    ['autoscaling/v1', 'Scale', { replicas: 2 }, { replicas: 1, selector: 'app=scaled' }],
  )
  const changed = await api.request('PATCH', `${widgets}/scaled/scale`, {
    body: { spec: { replicas: 5 } },
    type: 'application/merge-patch+json',
  })
  assert.deepEqual([changed.status, objectOf(changed).spec], [200, { replicas: 5 }])
  const { spec, metadata } = objectOf(await api.request('GET', `${widgets}/scaled`))
  assert.deepEqual([(spec as JsonObject).replicas, metadata.generation], [5, 2])
  assert.ok(
    metadata.managedFields?.some(({ subresource, fieldsV1 }) => subresource === 'scale' && 'f:spec' in fieldsV1),
  )
  const put = await api.request('PUT', `${widgets}/scaled/scale`, {
    body: { metadata: { name: 'scaled', namespace }, spec: { replicas: 1 } },
  })
  assert.deepEqual([put.status, objectOf(put).spec], [200, { replicas: 1 }])
})

test('a strategic merge patch of a custom resource is 415', async () => {
  await post(widget('custom', { hostname: 'a' }))
  const { status } = await api.request('PATCH', `${widgets}/custom`, {
    body: {},
    type: 'application/strategic-merge-patch+json',
  })
  assert.equal(status, 415)
})

test('a Table shows the declared columns', async () => {
  await post(widget('shown', { hostname: 'a' }))
  await api.request('PATCH', `${widgets}/shown/status`, {
    body: { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    type: 'application/merge-patch+json',
  })
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  const { body } = await api.request('GET', `${widgets}?fieldSelector=metadata.name%3Dshown`, { accept })
  const { kind, columnDefinitions, rows } = body as {
    kind: string
    columnDefinitions: { name: string; priority: number }[]
    rows: { cells: unknown[]; object: JsonObject }[]
  }
  assert.equal(kind, 'Table')
  assert.deepEqual(
    columnDefinitions.map(({ name, priority }) => [name, priority]),
    [
      ['Name', 0],
      ['Ready', 0],
      ['Replicas', 0],
      ['Host', 1],
      ['Age', 0],
    ],
  )
  assert.deepEqual(rows[0]?.cells.slice(0, 4), ['shown', 'True', 2, 'a'])
  assert.match(String(rows[0]?.cells[4]), /^\d+s$/)
  assert.equal(rows[0]?.object.kind, 'PartialObjectMetadata')
})

test('a CRD that breaks the rules for schemas is refused', async () => {
  const broken = structuredClone(crd) as {
    metadata: { name: string }
    spec: { names: JsonObject; versions: { schema: { openAPIV3Schema: { properties: { spec: JsonObject } } } }[] }
  }
  const name = `gizmos.${group}`
  broken.metadata.name = name
  broken.spec.names = { plural: 'gizmos', kind: 'Gizmo' }
  const schema = broken.spec.versions[0]?.schema.openAPIV3Schema
  if (schema) schema.properties.spec = { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.nothing >' }] }
  const rule = await api.request('POST', crds, { body: broken })
  assert.equal(rule.status, 422)
  assert.match(String(rule.body.message), /x-kubernetes-validations\[0\].rule: Invalid value: .*compilation failed/s)
  if (schema) schema.properties.spec = {}
  const untyped = await api.request('POST', crds, { body: broken })
  assert.match(
    String(untyped.body.message),
    /properties\[spec\].type: Required value: must not be empty for specified object fields/,
  )
  const misnamed = await api.request('POST', crds, { body: { ...crd, metadata: { name: 'other' } } })
  assert.match(
    String(misnamed.body.message),
    /metadata.name: Invalid value: "other": must be spec.names.plural\+"\."\+spec.group/,
  )
})

test('a deleted CRD takes its objects along and is served no more', async () => {
  const own = widgetCrd()
  await api.request('POST', crds, { body: own.crd })
  const path = `/apis/${own.group}/v1/namespaces/${namespace}/widgets`
  await eventually(
    async () =>
      (
        await api.request('POST', path, {
          body: { metadata: { name: 'w' }, spec: { hostname: 'a' }, apiVersion: `${own.group}/v1`, kind: 'Widget' },
        })
      ).status === 201
        ? true
        : undefined,
    'the object',
  )
  await api.request('DELETE', `${crds}/widgets.${own.group}`)
  await eventually(
    async () => ((await api.request('GET', `${crds}/widgets.${own.group}`)).status === 404 ? true : undefined),
    'the CRD goes',
  )
  await eventually(async () => ((await api.request('GET', path)).status === 404 ? true : undefined), '404')
})
