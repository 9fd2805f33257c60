import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepTrying } from './keep-trying.ts'

const quick = { firstDelayMs: 1, maxDelayMs: 4 }

test('it tries until it works, and waits longer each time', async () => {
  const delays: number[] = []
  let left = 4
  const { signal } = new AbortController()
  const value = await keepTrying(
    async () => {
      if (left-- > 0) throw new Error('away')
      return 'here'
    },
    { ...quick, signal, onFailure: (_, delayMs) => delays.push(delayMs) },
  )
  assert.equal(value, 'here')
  assert.deepEqual(delays, [1, 2, 4, 4])
})

for (const [when, attempt] of [
  ['while an attempt hangs', () => new Promise<never>(() => {})],
  ['between attempts', () => Promise.reject(new Error('away'))],
] as const)
  test(`asked to stop ${when}, it stops at once`, async () => {
    const controller = new AbortController()
    const reason = new Error('stopping')
    setImmediate(() => controller.abort(reason))
    const work = keepTrying(attempt, { firstDelayMs: 60_000, signal: controller.signal, onFailure: () => {} })
    await assert.rejects(work, reason)
  })
