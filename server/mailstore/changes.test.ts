import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { mergeDeltas } from './changes.ts'
import { cleanUp, removeStaleThreadRefs } from './cleanup.ts'
import { createFixture, item, message } from './testing/fixture.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

test('changes of the three types after one delivery and one flag', async () => {
  const user = await newAccount()
  const start = await store.mailstore.state(user.id)
  const [one] = await store.mailstore.ingest([item(user.id, message())])
  const middle = await store.mailstore.state(user.id)
  await store.mailstore.changeFlags(user.id, user.inbox.id, [[1, 1]], { op: 'add', keywords: ['$flagged'] })
  const newState = await store.mailstore.state(user.id)
  const ask = (type: 'Email' | 'Mailbox' | 'Thread', since: number) => store.mailstore.changes(user.id, type, since, 50)
  const nothing = { newState, hasMoreChanges: false, created: [], updated: [], destroyed: [] }
  assert.deepEqual(await ask('Email', start), { ...nothing, created: [one?.emailId] })
  assert.deepEqual(await ask('Email', middle), { ...nothing, updated: [one?.emailId] })
  assert.deepEqual(await ask('Thread', start), { ...nothing, created: [one?.threadId] })
  assert.deepEqual(await ask('Mailbox', start), { ...nothing, updated: [user.inbox.id] })
  assert.deepEqual(await ask('Mailbox', middle), nothing)
  assert.deepEqual(await ask('Email', newState), nothing)
  assert.equal(await ask('Email', newState + 1), undefined)
})

const delta = (c: number[], u: number[] = [], d: number[] = []) => ({ e: { c, u, d } })

for (const [name, deltas, max, want] of [
  [
    'created, then destroyed, is nothing',
    [delta([1]), delta([], [], [1])],
    10,
    { created: [], destroyed: [], rows: 2 },
  ],
  ['created, then updated, is created', [delta([1]), delta([], [1])], 10, { created: [1], destroyed: [], rows: 2 }],
  [
    'updated, then destroyed, is destroyed',
    [delta([], [1]), delta([], [], [1])],
    10,
    { created: [], destroyed: [1], rows: 2 },
  ],
  ['only whole rows that fit', [delta([1, 2]), delta([3, 4])], 3, { created: [1, 2], destroyed: [], rows: 1 }],
  ['about the same objects fits', [delta([1, 2]), delta([], [1, 2])], 2, { created: [1, 2], destroyed: [], rows: 2 }],
  ['a first row that is too large cannot be told', [delta([1, 2, 3])], 2, undefined],
] as const) {
  test(`merging changes: ${name}`, () => {
    const log = deltas.map((one, index) => ({ modSeq: index + 1, delta: one }))
    const merged = mergeDeltas(log, 'e', max)
    const plain = merged && { created: [...merged.created], destroyed: [...merged.destroyed], rows: merged.rows }
    assert.deepEqual(plain, want)
  })
}

test('beyond the log’s reach JMAP is told so, and IMAP gets what changed without what vanished', async () => {
  const user = await newAccount()
  const start = await store.mailstore.state(user.id)
  for (let count = 0; count < 4; count++) await store.mailstore.ingest([item(user.id, message())])
  await store.mailstore.changeFlags(user.id, user.inbox.id, [[1, 1]], { op: 'add', keywords: ['$deleted'] })
  const recent = await store.mailstore.state(user.id)
  await store.mailstore.expunge(user.id, user.inbox.id)
  await cleanUp(store.db, { logRows: 1 })
  assert.equal(await store.mailstore.changes(user.id, 'Email', start, 50), undefined)
  const far = await store.mailstore.changesSince(user.inbox.id, start)
  assert.deepEqual([far.changed.map(({ uid }) => uid), far.vanished], [[2, 3, 4], undefined])
  const near = await store.mailstore.changesSince(user.inbox.id, recent)
  assert.deepEqual([near.changed, near.vanished], [[], [1]])
})

test('references of threads that are gone are swept, those of others stay', async () => {
  const user = await newAccount()
  const [gone, kept] = await store.mailstore.ingest([item(user.id, message()), item(user.id, message())])
  await store.mailstore.destroyEmails(user.id, [gone?.emailId ?? ''])
  await removeStaleThreadRefs(store.db)
  const rows = await store.db.query<{ thread_id: string }>('select thread_id from thread_ref where account_id = $1', [
    user.id.slice(1),
  ])
  assert.deepEqual(
    rows.map(({ thread_id }) => `t${thread_id}`),
    [kept?.threadId],
  )
})
