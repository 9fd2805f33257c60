import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKubeClient } from './client.ts'
import { openConnection } from './connection.ts'
import { answer, startFakeApi, statusOf } from './fake-api.ts'
import { leaderFence, NotLeading } from './fence.ts'
import { createRequester } from './requester.ts'
import { Secret } from './resources.ts'

const key = { namespace: 'n', name: 'a' }
const object = { apiVersion: 'v1', kind: 'Secret', metadata: key }

test('whoever does not lead reads and does not write', async () => {
  await using api = await startFakeApi((_, response) =>
    answer(response, 200, { kind: 'Secret', metadata: { name: 'a' } }),
  )
  let leader = false
  const fence = leaderFence(() => leader)
  await using client = createKubeClient({ kubeConfig: api.kubeConfig(), userAgent: 'test', fence })
  await client.get(Secret, key)
  for (const write of [
    () => client.create(Secret, object),
    () => client.replace(Secret, object),
    () => client.apply(Secret, object, { fieldManager: 'test' }),
    () => client.mergePatch(Secret, key, {}),
    () => client.delete(Secret, key),
    () => client.raw('POST', '/api/v1/namespaces/n/secrets', object),
  ]) {
    await assert.rejects(write, NotLeading)
  }
  assert.deepEqual(
    api.requests.map(({ method }) => method),
    ['GET'],
  )
  leader = true
  await client.delete(Secret, key)
  assert.equal(api.requests.at(-1)?.method, 'DELETE')
})

test('a write that was turned away is not sent again once this process no longer leads', async () => {
  let leader = true
  await using api = await startFakeApi((_, response) => {
    leader = false // while the write is on its way
    answer(response, 429, statusOf(429, 'TooManyRequests', 'slow down'), { 'retry-after': '0' })
  })
  await using client = createKubeClient({
    kubeConfig: api.kubeConfig(),
    userAgent: 'test',
    fence: leaderFence(() => leader),
  })
  await assert.rejects(client.apply(Secret, object, { fieldManager: 'test' }), NotLeading)
  assert.equal(api.requests.length, 1)
})

test('a write that waits for the rate limit is not sent when this process has lost the lead meanwhile', async () => {
  let leader = true
  await using api = await startFakeApi((_, response) => answer(response, 200, {}))
  await using connection = openConnection(api.kubeConfig())
  const requester = createRequester({
    connection,
    rateLimit: {
      take: async () => {
        leader = false
      },
    },
    userAgent: 'test',
    deadlineMs: 10_000,
    fence: leaderFence(() => leader),
    closed: new AbortController().signal,
  })
  const request = { path: '/api/v1/namespaces/n/secrets/a', call: 'delete', verb: 'delete', idempotent: true }
  await assert.rejects(requester.send({ ...request, method: 'DELETE' }), NotLeading)
  assert.equal(api.requests.length, 0)
})
