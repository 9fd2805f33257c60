import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { openDatabase } from '../db/pool.ts'
import { createMailstore } from './mailstore.ts'
import { createFixture, fetchAll, item, message, type TestUser } from './testing/fixture.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

const count = async (user: TestUser) => (await fetchAll(store.mailstore, user.inbox.id, [])).length
const ownerIsAlive = (owner: number) =>
  store.db
    .query(`select from pg_locks where locktype = 'advisory' and objid = $1::int::oid`, [owner])
    .then((rows) => rows.length > 0)

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** A replica of its own, which the test may end. */
async function openReplica() {
  const logger = pino({ level: 'silent' })
  const db = await openDatabase({ url: store.url, connections: 3, logger })
  await until(() => ownerIsAlive(db.owner))
  const { blobs, config } = store
  const mailstore = createMailstore({
    db,
    blobs,
    limits: config.limits,
    now: () => new Date(),
    logger,
    metrics: new Registry(),
  })
  const end = async () => {
    await mailstore[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await until(async () => !(await ownerIsAlive(db.owner)))
  }
  return { mailstore, end }
}

test('a delivery repeated after its replica died is not stored twice, until its reply was seen', async () => {
  const user = await newAccount()
  const items = [item(user.id, message())]
  const dying = await openReplica()
  await dying.mailstore.ingest(items, { deliveryKey: 'k1' })
  await dying.end()
  assert.deepEqual(await store.mailstore.ingest(items, { deliveryKey: 'k1' }), [])
  assert.equal(await count(user), 1)
  store.mailstore.confirm('k1')
  assert.equal((await store.mailstore.ingest(items, { deliveryKey: 'k1' })).length, 1)
  assert.equal(await count(user), 2)
})

test('the same delivery by a replica that lives is another message', async () => {
  const user = await newAccount()
  const items = [item(user.id, message())]
  const other = await openReplica()
  await other.mailstore.ingest(items, { deliveryKey: 'k2' })
  assert.equal((await store.mailstore.ingest(items, { deliveryKey: 'k2' })).length, 1)
  assert.equal(await count(user), 2)
  await other.end()
})

test('in one process: repeated at the same time is two messages, afterwards without a confirmation one', async () => {
  const user = await newAccount()
  const items = [item(user.id, message())]
  await Promise.all([1, 2].map(() => store.mailstore.ingest(items, { deliveryKey: 'k3' })))
  assert.equal(await count(user), 2)
  assert.deepEqual(await store.mailstore.ingest(items, { deliveryKey: 'k3' }), [])
  assert.equal(await count(user), 2)
})

test('what runs alongside is not run again for a repeated delivery', async () => {
  const user = await newAccount()
  const items = [item(user.id, message())]
  let runs = 0
  const options = { deliveryKey: 'k4', alongside: async () => void runs++ }
  await store.mailstore.ingest(items, options)
  await store.mailstore.ingest(items, options)
  assert.deepEqual([runs, await count(user)], [1, 1])
})

test('a confirmation is written even when no delivery follows', async () => {
  const user = await newAccount()
  await store.mailstore.ingest([item(user.id, message())], { deliveryKey: 'k5' })
  const receipts = () => store.db.query(`select from delivery_receipt where key = 'k5'`)
  assert.equal((await receipts()).length, 1)
  store.mailstore.confirm('k5')
  await until(async () => (await receipts()).length === 0)
})
