import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRateLimit, delay } from './rate-limit.ts'

test('a burst goes at once, the rest at the rate, and a pause fills the bucket again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let time = 0
  const passed: string[] = []
  const limit = createRateLimit(10, 2, () => time)
  const take = (name: string) => limit.take().then(() => passed.push(name))
  const pass = async (ms: number) => {
    time += ms
    t.mock.timers.tick(ms)
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const name of ['a', 'b', 'c', 'd']) void take(name)
  await pass(0)
  assert.deepEqual(passed, ['a', 'b'])
  await pass(100)
  assert.deepEqual(passed, ['a', 'b', 'c'])
  await pass(100)
  assert.deepEqual(passed, ['a', 'b', 'c', 'd'])
  await pass(1000)
  for (const name of ['e', 'f', 'g']) void take(name)
  await pass(0)
  assert.deepEqual(passed.slice(4), ['e', 'f'])
})

test('an aborted wait rejects with the reason', async () => {
  const abort = new AbortController()
  const waiting = delay(60_000, abort.signal)
  abort.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await assert.rejects(delay(1, abort.signal), /enough/)
})
