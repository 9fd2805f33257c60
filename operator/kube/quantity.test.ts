import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantityNanos, sameQuantity } from './quantity.ts'

for (const [a, b] of [
  ['1000m', '1'],
  ['1', 1],
  ['0.5', '500m'],
  ['1Gi', 1_073_741_824],
  ['1Gi', '1024Mi'],
  ['1e3', '1k'],
  ['1E3', '1000'],
  ['1.5Gi', '1536Mi'],
  ['.5', '500m'],
  ['-1', '-1000m'],
  ['100000u', '100m'],
  ['0', '0Gi'],
] as const) {
  test(`${a} is ${b}`, () => assert.ok(sameQuantity(a, b)))
}

for (const [a, b] of [
  ['1G', '1Gi'],
  ['1', '1m'],
  ['1E', '1e'],
  ['abc', 'abc'],
  ['', ''],
  ['1 Gi', '1Gi'],
] as const) {
  test(`${a} is not ${b}`, () => assert.ok(!sameQuantity(a, b)))
}

test('E alone is exa, with digits an exponent', () => {
  assert.equal(quantityNanos('1E'), 10n ** 27n)
  assert.equal(quantityNanos('1E2'), 100n * 10n ** 9n)
})
