import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queryable } from '../db/database.ts'
import { createEmailIds } from './email-ids.ts'

/** A sequence whose answers come when the test lets them. */
function slowSequence() {
  let value = 1
  const waiting: (() => void)[] = []
  const tx: Queryable = {
    async query<Row extends object>(_text: string, values?: unknown[]): Promise<Row[]> {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return Array.from({ length: Number(values?.[0]) }, () => {
        const first = String(value)
        value += 1000
        return { first } as unknown as Row
      })
    },
  }
  return { tx, answer: () => waiting.splice(0).map((resolve) => resolve()), asked: () => waiting.length }
}

test('transactions at the same time get ids of their own, each as many as it reserved', async () => {
  const ids = createEmailIds()
  const sequence = slowSequence()
  const first = ids.reserve(sequence.tx, 700)
  sequence.answer()
  const taken = new Set<number>()
  const take = (next: () => number, count: number) => {
    for (let i = 0; i < count; i++) taken.add(next())
  }
  take(await first, 700)
  // 300 are left: both count on them, and must not share them.
  const both = [ids.reserve(sequence.tx, 200), ids.reserve(sequence.tx, 1500)]
  sequence.answer()
  for (const [index, next] of (await Promise.all(both)).entries()) {
    take(next, [200, 1500][index] ?? 0)
    assert.throws(next, /more email ids/)
  }
  assert.equal(taken.size, 2400)
  const rest = await ids.reserve(sequence.tx, 600)
  assert.equal(sequence.asked(), 0, 'what is left of a block serves the next')
  take(rest, 600)
  assert.equal(taken.size, 3000)
})
