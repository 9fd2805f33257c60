/** Postgres goes away in the middle of things. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { Unavailable } from '../db/database.ts'
import { createGroupCommit } from './group-commit.ts'
import { createFixture, fetchAll, item, message } from './testing/fixture.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

test('connections killed while mail comes in: every delivery is stored or Unavailable, and later ones work', async () => {
  const user = await newAccount()
  const other = await store.replica()
  const accepted: string[] = []
  let refused = 0
  let isOver = false
  const senders = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      try {
        const [stored] = await store.mailstore.ingest([item(user.id, message())])
        accepted.push(stored?.emailId ?? '')
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        refused++
      }
    }
  })
  for (let round = 0; round < 100 && (round < 5 || refused === 0); round++) {
    const before = accepted.length
    while (accepted.length < before + 20) await new Promise((resolve) => setTimeout(resolve, 2))
    await other.db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'mail-engine' and state <> 'idle' and pid <> pg_backend_pid()`,
    )
  }
  isOver = true
  await Promise.all(senders)
  assert.ok(refused > 0, 'the kills were felt')
  // Not on a connection that the last round killed, of which its owner may not have heard yet.
  const stored = await fetchAll(other.mailstore, user.inbox.id, [])
  const ids = new Set(stored.map(({ emailId }) => emailId))
  assert.deepEqual(
    accepted.filter((id) => !ids.has(id)),
    [],
    'nothing acknowledged is lost',
  )
  assert.equal(ids.size, stored.length)
  const mailbox = await other.mailstore.mailbox(user.id, user.inbox.id)
  assert.equal(mailbox?.totalEmails, stored.length)
})

test('a job that breaks its transaction fails alone', async () => {
  const submit = createGroupCommit<number, number>({
    run: async (jobs) => {
      if (jobs.includes(2)) throw new Error('two is bad')
      return jobs.map((job) => job * 10)
    },
    bytesOf: () => 1,
    maxJobs: 10,
    maxBytes: 100,
    maxBacklogBytes: 100,
    concurrency: 1,
  })
  const outcomes = await Promise.allSettled([1, 2, 3].map(submit))
  assert.deepEqual(
    outcomes.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
    [10, 'two is bad', 30],
  )
})

test('an absent database is not asked again for each job', async () => {
  let runs = 0
  const submit = createGroupCommit<number, number>({
    run: async () => {
      runs++
      throw new Unavailable('away')
    },
    bytesOf: () => 1,
    maxJobs: 10,
    maxBytes: 100,
    maxBacklogBytes: 100,
    concurrency: 1,
  })
  await Promise.all([1, 2, 3].map((job) => assert.rejects(submit(job), Unavailable)))
  assert.equal(runs, 1)
})

test('batches keep to their bounds, and a full backlog refuses newcomers', async () => {
  const batches: number[][] = []
  const gate = Promise.withResolvers<void>()
  const submit = createGroupCommit<number, number>({
    run: async (jobs) => {
      batches.push(jobs)
      await gate.promise
      return jobs
    },
    bytesOf: (job) => job,
    maxJobs: 2,
    maxBytes: 10,
    maxBacklogBytes: 20,
    concurrency: 1,
  })
  const accepted = [1, 1, 1, 9, 8].map(submit)
  await assert.rejects(submit(9), Unavailable)
  gate.resolve()
  assert.deepEqual(await Promise.all(accepted), [1, 1, 1, 9, 8])
  assert.deepEqual(batches, [[1, 1], [1, 9], [8]])
})
