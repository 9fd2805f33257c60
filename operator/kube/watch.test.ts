import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { createKubeClient } from './client.ts'
import { isKubeError } from './errors.ts'
import { answer, startFakeApi, statusOf } from './fake-api.ts'
import { ConfigMap } from './resources.ts'
import type { WatchEvent } from './watch.ts'

async function watchOf(t: TestContext, script: (response: ServerResponse) => void, inactivityMs?: number) {
  const api = await startFakeApi((_, response) => script(response))
  const client = createKubeClient({ kubeConfig: api.kubeConfig(), userAgent: 'test/1' })
  t.after(async () => {
    await client[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })
  const events: WatchEvent[] = []
  let error: unknown
  try {
    const options = { namespace: 'mail', resourceVersion: '5', ...(inactivityMs ? { inactivityMs } : {}) }
    for await (const event of client.watch(ConfigMap, options)) events.push(event)
  } catch (caught) {
    error = caught
  }
  return { api, events, error }
}

const line = (type: string, name: string, resourceVersion: string) =>
  `${JSON.stringify({ type, object: { metadata: { name, namespace: 'mail', resourceVersion } } })}\n`

test('events come in order, bookmarks as versions, and a closed stream is a normal end', async (t) => {
  const { api, events, error } = await watchOf(t, (response) => {
    response.write(line('ADDED', 'a', '6'))
    response.end(line('BOOKMARK', '', '9'))
  })
  assert.equal(error, undefined)
  assert.deepEqual(
    events.map((event) => (event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.name)),
    ['a', '9'],
  )
  const query = api.requests[0]?.query
  assert.equal(api.requests[0]?.path, '/api/v1/namespaces/mail/configmaps')
  assert.equal(query?.get('allowWatchBookmarks'), 'true')
  assert.equal(query?.get('resourceVersion'), '5')
  const seconds = Number(query?.get('timeoutSeconds'))
  assert.ok(seconds >= 300 && seconds < 600)
})

test('lines are put together from any pieces, also inside a UTF-8 character', async (t) => {
  const bytes = Buffer.from(line('ADDED', 'grüße', '6') + line('MODIFIED', 'b', '7'))
  const { events } = await watchOf(t, (response) => {
    const cut = bytes.indexOf(0xc3) + 1
    response.write(bytes.subarray(0, cut))
    setTimeout(() => response.end(bytes.subarray(cut)), 20)
  })
  assert.deepEqual(
    events.map((event) => event.type !== 'BOOKMARK' && event.object.metadata.name),
    ['grüße', 'b'],
  )
})

test('410 is Gone, as an HTTP answer and as an ERROR event', async (t) => {
  const gone = statusOf(410, 'Expired', 'too old resource version')
  const answered = await watchOf(t, (response) => answer(response, 410, gone))
  const streamed = await watchOf(t, (response) => response.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`))
  assert.ok(isKubeError(answered.error, 'Gone'))
  assert.ok(isKubeError(streamed.error, 'Gone'))
})

test('a broken line is an error, not silence', async (t) => {
  const { events, error } = await watchOf(t, (response) => response.end(`${line('ADDED', 'a', '6')}{"type":"ADD\n`))
  assert.equal(events.length, 1)
  assert.ok(isKubeError(error, 'Transient'))
})

test('a stream cut in the middle of a line gives up that line only', async (t) => {
  const { events, error } = await watchOf(t, (response) => {
    response.write(line('ADDED', 'a', '6'))
    response.write('{"type":"ADDED","obj')
    setTimeout(() => response.destroy(), 20)
  })
  assert.equal(events.length, 1)
  assert.ok(isKubeError(error, 'Transient'))
})

test('a silent watch ends by a Timeout', async (t) => {
  const { events, error } = await watchOf(t, (response) => response.write(line('ADDED', 'a', '6')), 60)
  assert.equal(events.length, 1)
  assert.ok(isKubeError(error, 'Timeout'), String(error))
})
