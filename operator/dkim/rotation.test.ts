import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datedSelector, type RotatingKey, type RotationRules, rotate } from './rotation.ts'

const NOW = new Date('2026-11-23T00:00:00Z')
const DAY = 86_400_000
const key = (selector: string, state: RotatingKey['state'], days: number): RotatingKey => ({
  selector,
  state,
  since: new Date(+NOW - days * DAY),
})
const step = (keys: RotatingKey[], published: string[] = [], more: Partial<RotationRules> = {}) => {
  const rules = { now: NOW, intervalMs: 90 * DAY, requested: false, publishMs: 3_600_000, graceMs: 7 * DAY, ...more }
  const { keys: left, start, retired } = rotate(keys, ({ selector }) => published.includes(selector), rules)
  return {
    keys: left.map(({ selector, state }) => `${selector} ${state}`),
    start,
    retired: retired.map(({ selector }) => selector),
  }
}

test('a young key stays as it is', () => {
  assert.deepEqual(step([key('default', 'Active', 10)]), { keys: ['default Active'], start: false, retired: [] })
})

test('an old key is joined by a new one and goes on signing', () => {
  assert.deepEqual(step([key('default', 'Active', 91)]), { keys: ['default Active'], start: true, retired: [] })
})

test('without an interval only a request starts it', () => {
  assert.equal(step([key('default', 'Active', 900)], [], { intervalMs: undefined }).start, false)
  assert.equal(step([key('default', 'Active', 1)], [], { intervalMs: undefined, requested: true }).start, true)
})

for (const [what, published, days] of [
  ['that DNS does not show', [], 30],
  ['that is out for less than its TTL', ['new'], 0],
] as const) {
  test(`a new key ${what} does not sign, and no third one is made`, () => {
    const { keys, start } = step([key('default', 'Active', 100), key('new', 'Publishing', days)], [...published], {
      requested: true,
    })
    assert.deepEqual([keys, start], [['default Active', 'new Publishing'], false])
  })
}

test('once published the new key signs and the old one retires', () => {
  assert.deepEqual(step([key('default', 'Active', 100), key('new', 'Publishing', 1)], ['new']).keys, [
    'default Retiring',
    'new Active',
  ])
})

test('of two keys that sign after a switch that was broken off, the older one retires', () => {
  const { keys, start } = step([key('default', 'Active', 100), key('new', 'Active', 0)])
  assert.deepEqual([keys, start], [['default Retiring', 'new Active'], false])
})

test('a retired key is withdrawn after the grace period', () => {
  const keys = [key('default', 'Retiring', 6), key('new', 'Active', 6)]
  assert.deepEqual(step(keys).retired, [])
  assert.deepEqual(step([key('default', 'Retiring', 7), key('new', 'Active', 7)]), {
    keys: ['new Active'],
    start: false,
    retired: ['default'],
  })
})

test('selectors tell the day and never repeat', () => {
  assert.equal(datedSelector('rsa2048', NOW, ['default']), '20261123')
  assert.equal(datedSelector('rsa2048', NOW, ['20261123', '20261123-2']), '20261123-3')
  assert.equal(datedSelector('ed25519', NOW, []), '20261123-ed25519')
})
