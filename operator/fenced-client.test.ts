import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fencedClient } from './fenced-client.ts'
import { createKubeClient } from './kube/client.ts'
import { answer, startFakeApi } from './kube/fake-api.ts'
import { Secret } from './kube/resources.ts'

test('whoever does not lead reads and does not write', async () => {
  await using api = await startFakeApi((_, response) =>
    answer(response, 200, { kind: 'Secret', metadata: { name: 'a' } }),
  )
  await using client = createKubeClient({ kubeConfig: api.kubeConfig(), userAgent: 'test' })
  let leader = false
  const fenced = fencedClient(client, () => leader)
  const key = { namespace: 'n', name: 'a' }
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: key }
  await fenced.get(Secret, key)
  for (const write of [
    () => fenced.create(Secret, object),
    () => fenced.replace(Secret, object),
    () => fenced.apply(Secret, object, { fieldManager: 'test' }),
    () => fenced.mergePatch(Secret, key, {}),
    () => fenced.delete(Secret, key),
  ]) {
    await assert.rejects(write, /does not lead/)
  }
  assert.deepEqual(
    api.requests.map(({ method }) => method),
    ['GET'],
  )
  leader = true
  await fenced.delete(Secret, key)
  assert.equal(api.requests.at(-1)?.method, 'DELETE')
})
