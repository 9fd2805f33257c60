import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patternMatcher, roleOf } from './listing.ts'

for (const [pattern, path, want] of [
  ['*', 'A/B', true],
  ['%', 'A', true],
  ['%', 'A/B', false],
  ['A/%', 'A/B', true],
  ['A/%', 'A/B/C', false],
  ['A*', 'A/B/C', true],
  ['%/%', 'A/B', true],
  ['*B', 'A/B', true],
  ['%%*%', 'A/B', true],
  ['A.B', 'AxB', false],
  ['', '', true],
  [`${'*a'.repeat(200)}b`, 'a'.repeat(1000), false],
] as const) {
  test(`pattern ${pattern.slice(0, 20)} and ${path.slice(0, 20)}`, () =>
    assert.equal(patternMatcher([pattern])(path), want))
}

test('special uses by name, in any case', () => {
  assert.deepEqual(['\\sent', '\\Junk', '\\All', '\\Inbox'].map(roleOf), ['sent', 'junk', undefined, undefined])
})
