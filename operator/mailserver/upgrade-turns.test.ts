import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectKey } from '../kube/types.ts'
import { createUpgradeTurns } from './upgrade-turns.ts'

const key = (name: string): ObjectKey => ({ namespace: 'n', name })

function turns(limit = 1) {
  const rolling: ObjectKey[] = []
  const called: string[] = []
  const clock = { minutes: 0 }
  const now = () => new Date(clock.minutes * 60_000)
  return {
    ...createUpgradeTurns({ limit, now, rolling: () => rolling, onTurn: ({ name }) => called.push(name) }),
    rolling,
    called,
    clock,
  }
}

test('one at a time, in the order in which they asked', () => {
  const { take, release, called, size } = turns()
  assert.deepEqual(take(key('a')), { taken: true })
  assert.deepEqual(take(key('a')), { taken: true }, 'it keeps its turn')
  assert.deepEqual(take(key('b')), { taken: false, busy: 'n/a' })
  assert.deepEqual(take(key('c')), { taken: false, busy: 'n/a' })
  assert.deepEqual(size(), { taken: 1, waiting: 2 })
  release(key('a'))
  assert.deepEqual(called, ['b'])
  assert.deepEqual(take(key('b')), { taken: true })
  assert.deepEqual(take(key('a')), { taken: false, busy: 'n/b' })
})

test('a rollout that an earlier leader began counts, and does not stand in its own way', () => {
  const { take, rolling } = turns()
  rolling.push(key('a'))
  assert.deepEqual(take(key('b')), { taken: false, busy: 'n/a' })
  assert.deepEqual(take(key('a')), { taken: true })
})

test('the end of a rollout that took no turn calls who waits', () => {
  const { take, release, rolling, called } = turns()
  rolling.push(key('a'))
  take(key('b'))
  release(key('x'))
  assert.deepEqual(called, [], 'a is still rolling')
  rolling.pop()
  release(key('a'))
  assert.deepEqual(called, ['b'])
})

test('who gives up waiting is not called', () => {
  const { take, release, called } = turns()
  take(key('a'))
  take(key('b'))
  release(key('b'))
  release(key('a'))
  assert.deepEqual(called, [])
})

test('as many as the limit says', () => {
  const { take } = turns(2)
  assert.deepEqual([take(key('a')), take(key('b'))], [{ taken: true }, { taken: true }])
  assert.equal(take(key('c')).taken, false)
})

test('whoever takes for ever, in its turn or rolling, is in nobody’s way any more', () => {
  const { take, rolling, clock } = turns()
  rolling.push(key('paused-by-hand'))
  assert.deepEqual(take(key('a')), { taken: false, busy: 'n/paused-by-hand' })
  clock.minutes = 59
  assert.equal(take(key('a')).taken, false)
  clock.minutes = 60
  assert.deepEqual(take(key('a')), { taken: true })
  assert.deepEqual(take(key('b')), { taken: false, busy: 'n/a' })
  clock.minutes = 120
  assert.deepEqual(take(key('b')), { taken: true })
  assert.deepEqual(take(key('c')), { taken: false, busy: 'n/b' })
})

test('the hour of a server that rolls again begins anew', () => {
  const { take, rolling, clock } = turns()
  rolling.push(key('a'))
  take(key('b'))
  rolling.pop()
  clock.minutes = 50
  take(key('b'))
  clock.minutes = 100
  rolling.push(key('a'))
  assert.deepEqual(take(key('c')), { taken: false, busy: 'n/b' })
  clock.minutes = 111
  assert.deepEqual(take(key('c')), { taken: false, busy: 'n/a' })
})
