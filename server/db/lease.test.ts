import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { startLeasedWork } from './lease.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())

const logger = pino({ level: 'silent' })

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('work is done again and again, by one replica at a time, also after it failed', async () => {
  const replica = await store.replica()
  let atWork = 0
  let most = 0
  let done = 0
  const work = async () => {
    most = Math.max(most, ++atWork)
    await new Promise((resolve) => setTimeout(resolve, 10))
    atWork--
    if (++done === 2) throw new Error('this time it fails')
  }
  {
    await using _first = startLeasedWork({ db: store.db, logger, name: 'test', everyMs: 5, leaseMs: 100, work })
    await using _second = startLeasedWork({ db: replica.db, logger, name: 'test', everyMs: 5, leaseMs: 100, work })
    await until(() => done >= 5)
  }
  const atEnd = done
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.deepEqual([most, atWork, done], [1, 0, atEnd])
})
