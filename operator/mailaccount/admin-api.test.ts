import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { openAdminApi } from './admin-api.ts'

for (const [what, begin] of [
  ['says nothing', false],
  ['stops in the middle', true],
] as const) {
  test(`an engine that accepts the call and ${what} has timed out`, async (t) => {
    const engine = createServer((_, response) => {
      if (begin) response.writeHead(200, { 'content-type': 'application/json' }).write('{"account":')
    }).listen(0, '127.0.0.1')
    await once(engine, 'listening')
    t.after(() => {
      engine.closeAllConnections()
      engine.close()
    })
    const origin = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`
    const answer = await openAdminApi(origin, 'token', () => {}, 100).get('ann@example.org')
    assert.deepEqual(answer, { kind: 'unavailable', message: 'no answer within 0.1 s', timedOut: true })
  })
}

test('an engine that nobody listens for has not timed out', async () => {
  const nobody = createServer().listen(0, '127.0.0.1')
  await once(nobody, 'listening')
  const origin = `http://127.0.0.1:${(nobody.address() as AddressInfo).port}`
  nobody.close()
  await once(nobody, 'close')
  const answer = await openAdminApi(origin, 'token', () => {}).get('ann@example.org')
  assert.equal(answer.kind, 'unavailable')
  assert.equal('timedOut' in answer, false)
})
