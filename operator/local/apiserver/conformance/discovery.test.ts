/** What a client learns before its first request: groups, resources, OpenAPI, version, health. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject } from '../json.ts'
import { connect, eventually, objectOf } from './client.ts'
import { widgetCrd } from './testdata.ts'

const { api, namespace, deleteAfterwards } = await connect()
const { group, crd } = widgetCrd()
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
await api.request('POST', crds, { body: crd })
deleteAfterwards(`${crds}/widgets.${group}`)
await eventually(
  async () => ((await api.request('GET', `/apis/${group}/v1`)).status === 200 ? true : undefined),
  'the group',
)

type Resource = {
  name: string
  kind: string
  namespaced: boolean
  verbs: string[]
  shortNames?: string[]
  categories?: string[]
  singularName: string
  group?: string
}
const resources = async (path: string) => (await api.request('GET', path)).body.resources as Resource[]

test('/version, /healthz, /livez and /readyz answer', async () => {
  const { body } = await api.request('GET', '/version')
  assert.deepEqual([body.major, body.minor], ['1', '36'])
  for (const path of ['/healthz', '/livez', '/readyz']) assert.equal((await api.request('GET', path)).text, 'ok')
})

test('/api and /apis name the groups', async () => {
  assert.deepEqual((await api.request('GET', '/api')).body.versions, ['v1'])
  const { body } = await api.request('GET', '/apis')
  const groups = body.groups as { name: string; preferredVersion: JsonObject }[]
  for (const name of [
    'apps',
    'policy',
    'coordination.k8s.io',
    'networking.k8s.io',
    'autoscaling',
    'rbac.authorization.k8s.io',
    'apiextensions.k8s.io',
    group,
  ]) {
    assert.ok(
      groups.some((found) => found.name === name),
      name,
    )
  }
  assert.deepEqual(groups.find(({ name }) => name === group)?.preferredVersion, {
    groupVersion: `${group}/v1`,
    version: 'v1',
  })
  assert.equal((await api.request('GET', `/apis/${group}`)).body.kind, 'APIGroup')
})

test('a custom resource is listed with its subresources', async () => {
  const found = await resources(`/apis/${group}/v1`)
  const by = (name: string) => found.find((resource) => resource.name === name)
  const main = by('widgets')
  assert.deepEqual(
    [main?.kind, main?.singularName, main?.namespaced, main?.shortNames, main?.categories],
    ['Widget', 'widget', true, ['wg'], ['gadgets']],
  )
  assert.deepEqual(
    new Set(main?.verbs),
    new Set(['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']),
  )
  assert.deepEqual(new Set(by('widgets/status')?.verbs), new Set(['get', 'patch', 'update']))
  assert.deepEqual([by('widgets/scale')?.kind, by('widgets/scale')?.group], ['Scale', 'autoscaling'])
})

describe('a built-in resource is listed as everywhere', () => {
  for (const [path, name, kind, namespaced, shortNames] of [
    ['/api/v1', 'namespaces', 'Namespace', false, ['ns']],
    ['/api/v1', 'services', 'Service', true, ['svc']],
    ['/api/v1', 'secrets', 'Secret', true, undefined],
    ['/api/v1', 'endpoints', 'Endpoints', true, ['ep']],
    ['/apis/apps/v1', 'deployments', 'Deployment', true, ['deploy']],
    ['/apis/apps/v1', 'deployments/scale', 'Scale', true, undefined],
    ['/apis/batch/v1', 'jobs', 'Job', true, undefined],
    ['/apis/policy/v1', 'poddisruptionbudgets', 'PodDisruptionBudget', true, ['pdb']],
    ['/apis/networking.k8s.io/v1', 'networkpolicies', 'NetworkPolicy', true, ['netpol']],
    ['/apis/rbac.authorization.k8s.io/v1', 'clusterroles', 'ClusterRole', false, undefined],
    ['/apis/discovery.k8s.io/v1', 'endpointslices', 'EndpointSlice', true, undefined],
    ['/apis/events.k8s.io/v1', 'events', 'Event', true, ['ev']],
  ] as const) {
    test(`${path} ${name}`, async () => {
      const found = (await resources(path)).find((resource) => resource.name === name)
      assert.deepEqual([found?.kind, found?.namespaced, found?.shortNames], [kind, namespaced, shortNames])
    })
  }
})

test('aggregated discovery says the same in one answer', async () => {
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
  const answer = await api.request('GET', '/apis', { accept })
  assert.match(answer.headers['content-type'] ?? '', /g=apidiscovery.k8s.io;v=v2/)
  const own = await eventually(async () => {
    const { items } = (await api.request('GET', '/apis', { accept })).body as {
      items: { metadata: { name: string }; versions: { version: string; resources: JsonObject[] }[] }[]
    }
    return items.find(({ metadata }) => metadata.name === group)
  }, 'the group')
  const [resource] = own.versions[0]?.resources ?? []
  assert.deepEqual(
    [resource?.resource, resource?.scope, resource?.singularResource, resource?.responseKind],
    ['widgets', 'Namespaced', 'widget', { group, version: 'v1', kind: 'Widget' }],
  )
  assert.deepEqual(
    new Set((resource?.subresources as JsonObject[] | undefined)?.map(({ subresource }) => subresource)),
    new Set(['status', 'scale']),
  )
})

test('OpenAPI v3 has a document for each group version, with the schemas of its kinds', async () => {
  const path = await eventually(async () => {
    const { paths } = (await api.request('GET', '/openapi/v3')).body as {
      paths: Record<string, { serverRelativeURL: string }>
    }
    return paths[`apis/${group}/v1`]?.serverRelativeURL
  }, 'the document')
  const { body } = await api.request('GET', path)
  const { components, paths } = body as {
    components: { schemas: Record<string, JsonObject> }
    paths: Record<string, Record<string, { parameters?: { name: string }[] } & JsonObject>>
  }
  const kind = Object.values(components.schemas).find((schema) =>
    JSON.stringify(schema['x-kubernetes-group-version-kind'])?.includes('"Widget"'),
  )
  assert.equal(kind?.description, 'A widget.')
  const patch = paths[`/apis/${group}/v1/namespaces/{namespace}/widgets/{name}`]?.patch
  assert.deepEqual(patch?.['x-kubernetes-group-version-kind'], { group, version: 'v1', kind: 'Widget' })
  assert.ok(patch?.parameters?.some(({ name }) => name === 'fieldValidation'))
})

test('OpenAPI v2 answers in JSON', async () => {
  const { status, body } = await api.request('GET', '/openapi/v2')
  assert.deepEqual([status, body.swagger], [200, '2.0'])
})

test('a review allows', async () => {
  const body = { spec: { resourceAttributes: { namespace, verb: 'create', resource: 'pods' } } }
  const answer = await api.request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body })
  assert.equal(answer.status, 201)
  assert.equal((objectOf(answer).status as JsonObject).allowed, true)
})

test('events are the same in both of their APIs', async () => {
  const event = {
    metadata: { name: 'e' },
    reason: 'Why',
    note: 'what happened',
    type: 'Normal',
    action: 'Look',
    reportingController: 'c',
    reportingInstance: 'i',
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding: { kind: 'Pod', name: 'p', namespace },
  }
  assert.equal(
    (await api.request('POST', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, { body: event })).status,
    201,
  )
  const { body } = await api.request(
    'GET',
    `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3Dp,involvedObject.kind%3DPod`,
  )
  const [found] = body.items as JsonObject[]
  assert.deepEqual([found?.message, found?.reason, found?.reportingComponent], ['what happened', 'Why', 'c'])
  assert.deepEqual([found?.firstTimestamp, found?.lastTimestamp], [null, null])
})
