import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCondition, removeCondition, setCondition } from './conditions.ts'

const first = new Date('2026-01-01T00:00:00.123Z')
const later = new Date('2026-01-01T01:00:00.456Z')
const waiting = { type: 'Ready', status: 'False', reason: 'Waiting', message: 'for a', observedGeneration: 1 } as const

test('lastTransitionTime is set at first and moves only when the status flips', () => {
  const one = setCondition(undefined, waiting, first)
  assert.equal(one[0]?.lastTransitionTime, '2026-01-01T00:00:00Z')
  const two = setCondition(one, { ...waiting, reason: 'StillWaiting', message: 'for b' }, later)
  assert.equal(two[0]?.lastTransitionTime, '2026-01-01T00:00:00Z')
  assert.equal(two[0]?.reason, 'StillWaiting')
  const three = setCondition(two, { ...waiting, status: 'True' }, later)
  assert.equal(three[0]?.lastTransitionTime, '2026-01-01T01:00:00Z')
})

test('the same statement leaves an equal list, in the same order', () => {
  const list = setCondition(setCondition([], waiting, first), { ...waiting, type: 'Degraded' }, first)
  assert.deepEqual(setCondition(list, waiting, later), list)
})

test('the given list is not changed', () => {
  const list = setCondition([], waiting, first)
  setCondition(list, { ...waiting, status: 'True' }, later)
  assert.equal(list[0]?.status, 'False')
})

test('removeCondition and isCondition', () => {
  const list = setCondition([], waiting, first)
  assert.ok(isCondition(list, 'Ready', 'False'))
  assert.ok(isCondition(list, 'Ready', 'False', 1))
  assert.ok(!isCondition(list, 'Ready', 'False', 2), 'stated about an older generation')
  assert.ok(!isCondition(list, 'Ready', 'True'))
  assert.deepEqual(removeCondition(list, 'Ready'), [])
})
