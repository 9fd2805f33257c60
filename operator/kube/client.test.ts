import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import { createKubeClient, type KubeClientOptions } from './client.ts'
import { KubeError } from './errors.ts'
import { answer, type Handler, startFakeApi, statusOf } from './fake-api.ts'
import { createKubeMetrics } from './metrics.ts'
import { ConfigMap, Deployment, Secret } from './resources.ts'
import type { KubeObject } from './types.ts'

async function clientOf(t: TestContext, handler: Handler, options: Partial<KubeClientOptions> = {}) {
  const api = await startFakeApi(handler)
  const client = createKubeClient({ kubeConfig: api.kubeConfig({ token: 'sesame' }), userAgent: 'test/1', ...options })
  t.after(async () => {
    await client[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })
  return { api, client }
}

const key = { namespace: 'mail', name: 'settings' }
const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...key }, data: { a: '1' } }

async function failure(call: Promise<unknown>): Promise<KubeError> {
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof KubeError, String(error))
    return error
  }
  return assert.fail('the call did not fail')
}

test('calls share kept-alive connections and carry token and user agent', async (t) => {
  const { api, client } = await clientOf(t, (_, response) => answer(response, 200, configMap))
  for (let i = 0; i < 10; i++) assert.deepEqual(await client.get(ConfigMap, key), configMap)
  // undici may open a second one while it still books the end of the first answer.
  assert.ok(api.connections() <= 2, `${api.connections()} connections`)
  assert.equal(api.requests[0]?.headers.authorization, 'Bearer sesame')
  assert.equal(api.requests[0]?.headers['user-agent'], 'test/1')
})

test('apply sends exactly the given JSON, unknown fields included, and names its manager', async (t) => {
  const { api, client } = await clientOf(t, (_, response) => answer(response, 200, configMap))
  const object = { ...configMap, spec: { unheardOf: { deep: [1, null] } } }
  await client.apply(ConfigMap, object, { fieldManager: 'tester' })
  await client.apply(ConfigMap, object, { fieldManager: 'tester', force: false, subresource: 'status', dryRun: true })
  const [first, second] = api.requests
  assert.equal(first?.method, 'PATCH')
  assert.equal(first?.headers['content-type'], 'application/apply-patch+yaml')
  assert.equal(first?.query.toString(), 'fieldManager=tester&force=true')
  assert.deepEqual(JSON.parse(first?.body ?? ''), object)
  assert.equal(second?.path, '/api/v1/namespaces/mail/configmaps/settings/status')
  assert.equal(second?.query.toString(), 'fieldManager=tester&force=false&dryRun=All')
})

test('list follows the pages and gives every item its kind', async (t) => {
  const { api, client } = await clientOf(t, ({ query }, response) => {
    const page = query.get('continue')
      ? { items: [{ metadata: { name: 'b' } }] }
      : { items: [{ metadata: { name: 'a' } }] }
    const metadata = query.get('continue') ? { resourceVersion: '7' } : { resourceVersion: '7', continue: 'more' }
    answer(response, 200, { kind: 'DeploymentList', metadata, ...page })
  })
  const { items, resourceVersion } = await client.list(Deployment, { labelSelector: 'app=x' })
  assert.equal(resourceVersion, '7')
  assert.deepEqual(
    items.map(({ apiVersion, kind, metadata }) => [apiVersion, kind, metadata.name]),
    [
      ['apps/v1', 'Deployment', 'a'],
      ['apps/v1', 'Deployment', 'b'],
    ],
  )
  assert.equal(api.requests[1]?.query.get('labelSelector'), 'app=x')
})

test('a list is shrunk page by page', async (t) => {
  const seen: string[] = []
  const { client } = await clientOf(t, ({ query }, response) => {
    seen.push(query.get('continue') ?? 'first')
    const metadata = query.get('continue') ? { resourceVersion: '7' } : { resourceVersion: '7', continue: 'more' }
    answer(response, 200, { metadata, items: [{ metadata: { name: 'a', managedFields: [] } }] })
  })
  const { items } = await client.list(Secret, {}, ({ metadata: { managedFields: _, ...metadata }, ...object }) => {
    seen.push('shrunk')
    return { ...object, metadata }
  })
  assert.deepEqual(seen, ['first', 'shrunk', 'more', 'shrunk'])
  assert.deepEqual(items[1], { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } })
})

test('list takes fewer objects at once where they are large, and goes on from where it was', async (t) => {
  const large = Buffer.alloc(65 * 1024 * 1024, ' ')
  const { api, client } = await clientOf(t, ({ query }, response) => {
    const from = Number(query.get('continue') ?? 0)
    const limit = Number(query.get('limit'))
    // Behind the first 520 all are large.
    if (from + limit > 520) return void response.writeHead(200, { 'content-type': 'application/json' }).end(large)
    const metadata = { resourceVersion: '7', ...(from < 500 ? { continue: String(from + limit) } : {}) }
    answer(response, 200, { metadata, items: [{ metadata: { name: `from-${from}`, namespace: 'mail' } }] })
  })
  const { items } = await client.list(ConfigMap, { namespace: 'mail' })
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['from-0', 'from-500'],
  )
  assert.deepEqual(
    api.requests.map(({ query }) => `${query.get('continue')} ${query.get('limit')}`),
    ['null 500', '500 500', '500 63', '500 8'],
  )
})

test('list starts over in one piece when its continue token has expired', async (t) => {
  const { client } = await clientOf(t, ({ query }, response) => {
    if (query.get('continue')) return answer(response, 410, statusOf(410, 'Expired', 'too old'))
    const metadata = query.get('limit') ? { resourceVersion: '1', continue: 'x' } : { resourceVersion: '2' }
    answer(response, 200, { items: [{ metadata: { name: 'a' } }], metadata })
  })
  const { items, resourceVersion } = await client.list(ConfigMap)
  assert.equal(items.length, 1)
  assert.equal(resourceVersion, '2')
})

test('find and delete take what is gone for an answer, get does not', async (t) => {
  const { client } = await clientOf(t, (_, response) => answer(response, 404, statusOf(404, 'NotFound', 'not there')))
  assert.equal(await client.find(ConfigMap, key), undefined)
  assert.equal(await client.delete(ConfigMap, key), false)
  assert.equal((await failure(client.get(ConfigMap, key))).kind, 'NotFound')
})

test('delete with a uid spares another object of the same name', async (t) => {
  const { api, client } = await clientOf(t, (_, response) =>
    answer(
      response,
      409,
      statusOf(409, 'Conflict', 'the UID in the precondition (a) does not match the UID in record (b)'),
    ),
  )
  assert.equal(await client.delete(ConfigMap, key, { uid: 'a', propagationPolicy: 'Background' }), false)
  assert.deepEqual(JSON.parse(api.requests[0]?.body ?? ''), {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: 'Background',
    preconditions: { uid: 'a' },
  })
})

test('429 with Retry-After is tried again, whatever the verb', async (t) => {
  let calls = 0
  const { client } = await clientOf(t, (_, response) => {
    calls += 1
    if (calls < 3) return answer(response, 429, statusOf(429, 'TooManyRequests', 'slow down'), { 'retry-after': '0' })
    answer(response, 201, configMap)
  })
  await client.create(ConfigMap, configMap)
  assert.equal(calls, 3)
})

test('a long Retry-After is left to the caller', async (t) => {
  const { api, client } = await clientOf(t, (_, response) =>
    answer(response, 503, statusOf(503, 'ServiceUnavailable', 'starting'), { 'retry-after': '60' }),
  )
  const error = await failure(client.get(ConfigMap, key))
  assert.equal(error.kind, 'Transient')
  assert.equal(error.retryAfterMs, 60_000)
  assert.equal(api.requests.length, 1)
})

test('a lost connection is retried for a GET and not for a POST', async (t) => {
  let calls = 0
  const { client } = await clientOf(t, (_, response) => {
    calls += 1
    if (calls === 1 || calls === 3) return response.destroy()
    answer(response, 200, configMap)
  })
  await client.get(ConfigMap, key)
  assert.equal(calls, 2)
  assert.equal((await failure(client.create(ConfigMap, configMap))).kind, 'Transient')
  assert.equal(calls, 3)
})

test('a cut JSON body is a lost connection', async (t) => {
  const { client } = await clientOf(t, (_, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('{"kind":"Conf')
    setTimeout(() => response.destroy(), 10)
  })
  assert.equal((await failure(client.mergePatch(ConfigMap, key, {}))).kind, 'Transient')
})

test('an answer that does not come is a Timeout', async (t) => {
  const { client } = await clientOf(t, () => {}, { deadlineMs: 50 })
  const error = await failure(client.get(ConfigMap, key))
  assert.equal(error.kind, 'Timeout')
  assert.match(error.message, /get configmaps mail\/settings: no answer within 50 ms/)
})

test('401 makes it read the token file again, once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'token-'))
  t.after(() => rm(folder, { recursive: true }))
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, 'old\n')
  const api = await startFakeApi(({ headers }, response) => {
    if (headers.authorization === 'Bearer new') return answer(response, 200, configMap)
    answer(response, 401, statusOf(401, 'Unauthorized', 'Unauthorized'))
  })
  const kubeConfig = api.kubeConfig({ authProvider: { name: 'tokenFile', config: { tokenFile } } })
  const client = createKubeClient({ kubeConfig, userAgent: 'test/1' })
  t.after(async () => {
    await client[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })
  assert.equal((await failure(client.get(ConfigMap, key))).kind, 'Unauthorized')
  assert.equal(api.requests.length, 2)
  await writeFile(tokenFile, 'new\n')
  await client.get(ConfigMap, key)
  assert.deepEqual(
    api.requests.slice(2).map(({ headers }) => headers.authorization),
    ['Bearer old', 'Bearer new'],
  )
})

test('errors about Secrets and their logs never show values', async (t) => {
  const { client } = await clientOf(t, (_, response) =>
    answer(response, 422, statusOf(422, 'Invalid', 'Invalid value: "hunter2"', { causes: [{ field: 'data' }] })),
  )
  const secret: KubeObject = { ...configMap, kind: 'Secret', data: { password: 'hunter2' } }
  const error = await failure(client.apply(Secret, secret, { fieldManager: 'tester' }))
  assert.equal(error.message, 'apply secrets mail/settings: 422 Invalid: data')
})

test('discover prefers the preferred version, falls back to one that has the kind, and remembers', async (t) => {
  const versions = [{ version: 'v1' }, { version: 'v1alpha2' }]
  const { api, client } = await clientOf(t, ({ path }, response) => {
    if (path === '/apis/gateway.example') return answer(response, 200, { preferredVersion: versions[0], versions })
    const kinds: Record<string, string[]> = { v1: ['Gateway'], v1alpha2: ['TCPRoute'] }
    const found = kinds[path.split('/').at(-1) ?? '']
    if (!found) return answer(response, 404, '404 page not found')
    const resources = found.map((kind) => ({ kind, name: `${kind.toLowerCase()}s`, namespaced: true }))
    answer(response, 200, {
      resources: [{ kind: 'TCPRoute', name: 'tcproutes/status', namespaced: true }, ...resources],
    })
  })
  const group = 'gateway.example'
  assert.deepEqual(await client.discover(group, 'TCPRoute'), {
    group,
    version: 'v1alpha2',
    kind: 'TCPRoute',
    plural: 'tcproutes',
    namespaced: true,
  })
  const documents = api.requests.length
  assert.equal((await client.discover(group, 'Gateway'))?.version, 'v1')
  assert.equal(api.requests.length, documents, 'a group is read once for its kinds')
  assert.equal(await client.discover('absent.example', 'Thing'), undefined)
  const asked = api.requests.length
  await client.discover(group, 'TCPRoute')
  assert.equal(api.requests.length, asked)
})

test('raw answers text where the API does', async (t) => {
  const { client } = await clientOf(t, (_, response) => answer(response, 200, 'ok', { 'content-type': 'text/plain' }))
  assert.equal(await client.raw('GET', '/readyz'), 'ok')
})

test('a closed client ends its running calls', async (t) => {
  const { api, client } = await clientOf(t, () => {})
  const call = failure(client.get(ConfigMap, key))
  while (api.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await client[Symbol.asyncDispose]()
  assert.equal((await call).kind, 'Transient')
})

test('requests are counted under client-go names', async (t) => {
  const registry = new Registry()
  const { client } = await clientOf(t, (_, response) => answer(response, 404, ''), {
    metrics: createKubeMetrics(registry),
  })
  await client.find(ConfigMap, key)
  assert.match(await registry.metrics(), /rest_client_requests_total\{code="404",method="GET",host="127.0.0.1:\d+"\} 1/)
})
