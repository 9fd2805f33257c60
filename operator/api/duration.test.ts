import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationMs } from './duration.ts'

for (const [text, want] of [
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['2160h', 7_776_000_000],
  ['', undefined],
  ['10', undefined],
  ['1d', undefined],
  ['-1s', undefined],
] as const) {
  test(`"${text}" is ${want} ms`, () => assert.equal(durationMs(text), want))
}
