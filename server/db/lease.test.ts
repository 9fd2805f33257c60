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

test('work is done again and again, by one replica at a time', async () => {
  const replica = await store.replica()
  let atWork = 0
  let most = 0
  let done = 0
  const work = async () => {
    most = Math.max(most, ++atWork)
    await new Promise((resolve) => setTimeout(resolve, 10))
    atWork--
    done++
  }
  const options = { logger, name: 'alone', everyMs: 5, leaseMs: 60_000, work }
  {
    await using _first = startLeasedWork({ db: store.db, ...options })
    await using _second = startLeasedWork({ db: replica.db, ...options })
    await until(() => done >= 5)
  }
  const atEnd = done
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.deepEqual([most, atWork, done], [1, 0, atEnd])
})

test('work that failed is done again once its lease has run out', async () => {
  let tries = 0
  const work = async () => {
    if (++tries === 1) throw new Error('this time it fails')
  }
  await using _ = startLeasedWork({ db: store.db, logger, name: 'failing', everyMs: 5, leaseMs: 100, work })
  await until(() => tries >= 3)
})
