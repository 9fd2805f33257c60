import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccountAnswer, AdminApi } from './admin-api.ts'
import { createCircuitBreaker } from './circuit-breaker.ts'

const LATE: AccountAnswer = { kind: 'unavailable', message: 'no answer', timedOut: true }
const OK: AccountAnswer = { kind: 'ok', usedBytes: 1 }

function broken() {
  let now = 0
  const calls: PromiseWithResolvers<AccountAnswer>[] = []
  const call = () => {
    const gate = Promise.withResolvers<AccountAnswer>()
    calls.push(gate)
    return gate.promise
  }
  const api: AdminApi = { put: call, get: call, remove: call }
  const guard = createCircuitBreaker(() => now)
  return { guard, api, calls, pass: (ms: number) => (now += ms) }
}

test('an engine that does not answer is left alone; then one tries for all', async () => {
  const { guard, api, calls, pass } = broken()
  const engine = () => guard('http://10.0.0.7:8080', api)
  const first = engine().get('a@example.org')
  calls.shift()?.resolve(LATE)
  assert.deepEqual(await first, LATE)
  assert.deepEqual(await engine().remove('b@example.org'), LATE)
  pass(29_999)
  assert.deepEqual(await engine().get('b@example.org'), LATE)
  assert.equal(calls.length, 0)
  pass(1)
  const second = engine().get('c@example.org')
  assert.deepEqual(await engine().get('d@example.org'), LATE, 'while one tries')
  assert.equal(calls.length, 1)
  calls.shift()?.resolve(LATE)
  await second
  assert.deepEqual(await engine().get('d@example.org'), LATE)
  pass(30_000)
  const third = engine().get('c@example.org')
  calls.shift()?.resolve(OK)
  assert.deepEqual(await third, OK)
  const again = [engine().get('c@example.org'), engine().get('d@example.org')]
  assert.equal(calls.length, 2)
  for (const gate of calls) gate.resolve(OK)
  assert.deepEqual(await Promise.all(again), [OK, OK])
})

test('another engine, and one that refuses, are called all the same', async () => {
  const { guard, api, calls } = broken()
  const first = guard('http://10.0.0.7:8080', api).get('a@example.org')
  calls.shift()?.resolve(LATE)
  await first
  const refusing: AccountAnswer = { kind: 'unavailable', message: 'connect ECONNREFUSED' }
  for (let round = 0; round < 2; round++) {
    const other = guard('http://10.0.0.8:8080', api).get('a@example.org')
    calls.shift()?.resolve(refusing)
    assert.deepEqual(await other, refusing)
  }
})

test('a try that was not allowed leaves no circuit open', async () => {
  const { guard, api, calls, pass } = broken()
  const engine = guard('http://10.0.0.7:8080', api)
  const first = engine.get('a@example.org')
  calls.shift()?.resolve(LATE)
  await first
  pass(30_000)
  const second = engine.get('a@example.org')
  calls.shift()?.reject(new Error('not leading'))
  await assert.rejects(second, /not leading/)
  const third = engine.get('a@example.org')
  calls.shift()?.resolve(OK)
  assert.deepEqual(await third, OK)
})
