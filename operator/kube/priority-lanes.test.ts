import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPriorityLanes, type Priority } from './priority-lanes.ts'

function lanes(...puts: (readonly [string, Priority])[]) {
  let now = 0
  const all = createPriorityLanes<string>(() => now++)
  for (const [name, priority] of puts) all.put(name, name, priority)
  const takeAll = () => {
    const taken: string[] = []
    for (let next = all.take(); next; next = all.take()) taken.push(next.key)
    return taken.join(' ')
  }
  return { ...all, takeAll }
}

test('the higher priority goes first, within one who came first', () => {
  const { takeAll } = lanes(['l1', 'low'], ['n1', 'normal'], ['h1', 'high'], ['l2', 'low'], ['h2', 'high'])
  assert.equal(takeAll(), 'h1 h2 n1 l1 l2')
})

test('who waits already is raised and never lowered, and is there once', () => {
  const { put, size, takeAll } = lanes(['a', 'low'], ['b', 'normal'], ['c', 'normal'])
  assert.equal(put('a', 'a', 'high'), false)
  assert.equal(put('a', 'a', 'low'), false)
  assert.equal(put('b', 'b', 'normal'), false)
  assert.deepEqual([size(), size('high'), size('normal'), size('low')], [3, 1, 2, 0])
  assert.equal(takeAll(), 'a b c')
})

test('who is removed does not wait any more', () => {
  const { put, remove, takeAll } = lanes(['a', 'low'], ['b', 'high'])
  remove('b')
  remove('nobody')
  assert.equal(put('b', 'b', 'low'), true)
  assert.equal(takeAll(), 'a b')
})

test('nothing starves: one of eight is the one that has waited longest', () => {
  const { put, take } = lanes(['old', 'low'])
  const taken: (string | undefined)[] = []
  for (let round = 0; round < 8; round++) {
    put(`h${round}`, `h${round}`, 'high')
    taken.push(take()?.key)
  }
  assert.deepEqual(taken, ['h0', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'old'])
})

test('who was raised has waited since it came', () => {
  const { put, take } = lanes(['first', 'low'], ['second', 'normal'])
  put('first', 'first', 'normal')
  assert.equal(take()?.since, 1)
  assert.equal(take()?.since, 0)
  assert.equal(take(), undefined)
})
