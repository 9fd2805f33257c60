/** What is this server's own: state that outlives it, its bounds, the shared CRDs. Its API is tested in conformance/. */
import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { freePorts } from '../free-port.ts'
import { Client, objectOf } from './conformance/client.ts'
import { widgetCrd } from './conformance/testdata.ts'
import { startApiServer } from './server.ts'

const configMaps = '/api/v1/namespaces/default/configmaps'

test('objects, CRDs and credentials outlive a restart, a torn last line does no harm', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'apiserver-'))
  const { group, crd } = widgetCrd()
  const widget = { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'w' }, spec: { hostname: 'a' } }
  // The same one again: not one that the system may have given to somebody else meanwhile.
  const [port = 0] = await freePorts(1)
  const first = await startApiServer({ dir, port })
  const api = new Client(first.kubeconfig)
  await api.request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: crd })
  await api.request('POST', `/apis/${group}/v1/namespaces/default/widgets`, { body: widget })
  await api.request('POST', configMaps, { body: { metadata: { name: 'gone' } } })
  const { body: deleted } = await api.request('DELETE', `${configMaps}/gone`)
  assert.equal(deleted.status, 'Success')
  const before = await api.request('GET', configMaps)
  api.close()
  await first.close()
  appendFileSync(join(dir, 'objects.jsonl'), '{"r":99,"b":"configm')

  const second = await startApiServer({ dir, port })
  const again = new Client(first.kubeconfig)
  const kept = objectOf(await again.request('GET', `/apis/${group}/v1/namespaces/default/widgets/w`))
  assert.deepEqual(kept.spec, { hostname: 'a', replicas: 2, mode: 'Safe' })
  assert.equal((await again.request('GET', `${configMaps}/gone`)).status, 404)
  const after = await again.request('GET', configMaps)
  const revision = (answer: typeof after) =>
    Number((answer.body.metadata as { resourceVersion: string }).resourceVersion)
  assert.ok(revision(after) >= revision(before))
  again.close()
  await second.close()
  rmSync(dir, { recursive: true })
})

test('a watch from before the restart is told that its revision is too old', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'apiserver-'))
  await (await startApiServer({ dir })).close()
  await using server = await startApiServer({ dir })
  const api = new Client(server.kubeconfig)
  for await (const { type, object } of api.watch(`${configMaps}?watch=true&resourceVersion=2`)) {
    assert.deepEqual([type, object.code, object.reason], ['ERROR', 410, 'Expired'])
    break
  }
  api.close()
  rmSync(dir, { recursive: true })
})

test('names that would reach a prototype are refused, and the process lives', async () => {
  await using server = await startApiServer({})
  const api = new Client(server.kubeconfig)
  const polluted = await api.request('POST', configMaps, { body: '{"metadata":{"name":"x"},"data":{"__proto__":"y"}}' })
  assert.equal(polluted.status, 400)
  await api.request('POST', configMaps, { body: { metadata: { name: 'x' }, data: { constructor: 'c' } } })
  const patch = [{ op: 'add', path: '/data/__proto__/polluted', value: 'yes' }]
  assert.equal(
    (await api.request('PATCH', `${configMaps}/x`, { body: patch, type: 'application/json-patch+json' })).status,
    422,
  )
  assert.equal(Reflect.get({}, 'polluted'), undefined)
  assert.deepEqual(objectOf(await api.request('GET', `${configMaps}/x`)).data, { constructor: 'c' })
  api.close()
})

const shared = new URL('../../../../shared/crds/', import.meta.url)
test('the real CRDs of the platform install', {
  skip: existsSync(shared) ? false : 'not on this machine',
}, async () => {
  await using server = await startApiServer({})
  const api = new Client(server.kubeconfig)
  for (const file of readdirSync(shared)) {
    for (const document of parseAllDocuments(readFileSync(new URL(file, shared), 'utf8'))) {
      const crd = document.toJS()
      if (crd?.kind !== 'CustomResourceDefinition') continue
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}?fieldManager=test&force=true`
      const answer = await api.request('PATCH', path, { body: crd, type: 'application/apply-patch+yaml' })
      assert.ok(answer.status < 300, `${file}: ${answer.text.slice(0, 500)}`)
    }
  }
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'r' },
    spec: {
      rules: [
        {
          filters: [
            {
              type: 'RequestRedirect',
              requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } },
            },
          ],
          matches: [{ path: { type: 'Exact', value: '/a' } }],
        },
      ],
    },
  }
  const { status, body } = await api.request(
    'POST',
    '/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes',
    { body: route },
  )
  assert.equal(status, 422)
  assert.match(
    String(body.message),
    /When using RequestRedirect filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified/,
  )
  api.close()
})
