import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLastWritten } from './last-written.ts'
import type { KubeObject } from './types.ts'

const KEY = { namespace: 'n', name: 'a' }
const at = (resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...KEY, resourceVersion },
})

test('what was written counts until the cache has it', () => {
  const written = createLastWritten()
  written.wrote(at('1'), at('2'))
  assert.deepEqual(written.newest(KEY, at('1')), at('2'))
  assert.deepEqual(written.newest(KEY, at('2')), at('2'))
  assert.deepEqual(written.newest(KEY, at('1')), at('1'))
})

test('of several writes the last one counts, wherever between them the cache is', () => {
  const written = createLastWritten()
  written.wrote(at('1'), at('2'))
  written.wrote(at('2'), at('3'))
  assert.deepEqual(written.newest(KEY, at('1')), at('3'))
  assert.deepEqual(written.newest(KEY, at('2')), at('3'))
})

test('a writer who still holds the object of before loses none of its writes', () => {
  const written = createLastWritten()
  written.wrote(at('1'), at('2'))
  written.wrote(at('1'), at('3'))
  assert.deepEqual(written.newest(KEY, at('2')), at('3'))
})

test('a write of somebody else ends it', () => {
  const written = createLastWritten()
  written.wrote(at('1'), at('2'))
  assert.deepEqual(written.newest(KEY, at('5')), at('5'))
  assert.deepEqual(written.newest(KEY, at('1')), at('1'))
})

test('an object that is gone is gone', () => {
  const written = createLastWritten()
  written.wrote(at('1'), at('2'))
  assert.equal(written.newest(KEY, undefined), undefined)
})

test('a write that changed nothing is not remembered', () => {
  const written = createLastWritten()
  written.wrote(at('1'), { ...at('1'), data: { a: 'b' } })
  assert.deepEqual(written.newest(KEY, at('1')), at('1'))
})

test('what the cache has reached is forgotten', () => {
  const written = createLastWritten()
  written.wrote(at('1'), at('2'))
  written.seen(at('1'))
  assert.deepEqual(written.newest(KEY, at('1')), at('2'))
  written.seen(at('2'))
  assert.deepEqual(written.newest(KEY, at('1')), at('1'))
})
