import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextAttempt } from './schedule.ts'

const now = new Date('2026-03-01T12:00:00Z')
const config = { retryDelaysMs: [60_000, 300_000] }
const later = (ms: number) => new Date(+now + ms)

for (const [what, attempts, expiresAt, random, want] of [
  ['the first failure waits the first delay', 1, later(1e9), 0.5, later(60_000)],
  ['the second failure waits the second delay', 2, later(1e9), 0.5, later(300_000)],
  ['the last delay repeats', 9, later(1e9), 0.5, later(300_000)],
  ['up to a tenth less', 1, later(1e9), 0, later(54_000)],
  ['up to a tenth more', 1, later(1e9), 1, later(66_000)],
  ['the last attempt is at the end of the time', 2, later(100_000), 0.5, later(100_000)],
  ['after that it is given up', 5, now, 0.5, undefined],
] as const)
  test(`retry: ${what}`, () => assert.deepEqual(nextAttempt({ attempts, now, expiresAt }, config, random), want))
