import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, pollMs } from './backoff.ts'

const limits = { baseMs: 10_000, maxMs: 300_000 }

for (const [failures, random, want] of [
  [1, 0, 5_000],
  [1, 1, 10_000],
  [3, 1, 40_000],
  [60, 1, 300_000],
] as const) {
  test(`after failure ${failures} with ${random} of the jitter: ${want} ms`, () =>
    assert.equal(backoffMs(failures, limits, random), want))
}

for (const [waitedMs, want] of [
  [0, 10_000],
  [Number.NaN, 10_000],
  [60_000, 10_000],
  [600_000, 100_000],
  [86_400_000, 300_000],
] as const) {
  test(`after ${waitedMs} ms of waiting the next look is in ${want} ms`, () =>
    assert.equal(pollMs(waitedMs, limits), want))
}
