import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { createFixture, fetchAll, item, message } from './testing/fixture.ts'
import type { StoreEvent } from './types.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

test('fetch reads ranges, and only what changed since when asked', async () => {
  const user = await newAccount()
  await store.mailstore.ingest(Array.from({ length: 6 }, () => item(user.id, message())))
  const since = await store.mailstore.state(user.id)
  await store.mailstore.changeFlags(
    user.id,
    user.inbox.id,
    [
      [3, 3],
      [6, 6],
    ],
    { op: 'add', keywords: ['$seen'] },
  )
  const uids = (messages: { uid: number }[]) => messages.map(({ uid }) => uid)
  assert.deepEqual(
    uids(
      await fetchAll(
        store.mailstore,
        user.inbox.id,
        [],
        [
          [2, 3],
          [5, 5],
          [7, 90],
        ],
      ),
    ),
    [2, 3, 5],
  )
  assert.deepEqual(uids(await fetchAll(store.mailstore, user.inbox.id, [], [])), [])
  const changed: number[] = []
  for await (const page of store.mailstore.fetch(user.inbox.id, [[1, 5]], [], { changedSince: since }))
    changed.push(...uids(page))
  assert.deepEqual(changed, [3])
})

test('emails across mailboxes: keywords and mailboxes are set together or the id is not found', async () => {
  const user = await newAccount()
  const [stored] = await store.mailstore.ingest([item(user.id, message())])
  const id = stored?.emailId ?? ''
  const result = await store.mailstore.updateEmails(user.id, [
    { id, keywords: ['$seen', 'Project'], mailboxIds: [user.inbox.id, user.archive.id] },
    { id: 'e999999' },
  ])
  assert.deepEqual([result.updated, result.notFound], [[id], ['e999999']])
  assert.deepEqual(await store.mailstore.emails(user.id, [id, 'nonsense'], ['sizeBytes']), [
    {
      id,
      keywords: ['$seen', 'project'],
      mailboxIds: [user.inbox.id, user.archive.id].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))),
      modSeq: result.modSeq,
      sizeBytes: stored?.sizeBytes,
    },
  ])
  assert.deepEqual((await store.mailstore.updateEmails(user.id, [{ id, mailboxIds: ['m999999'] }])).notFound, [id])
  assert.deepEqual((await store.mailstore.updateEmails(store.bob.id, [{ id, keywords: [] }])).notFound, [id])
  const destroyed = await store.mailstore.destroyEmails(user.id, [id, 'e999999'])
  assert.deepEqual([destroyed.destroyed, destroyed.notFound], [[id], ['e999999']])
  assert.deepEqual(await store.mailstore.emails(user.id, [id], []), [])
})

test('a change is told to subscribers on every replica, of that account only', async () => {
  const user = await newAccount()
  const replica = (await store.replica()).mailstore
  const events: StoreEvent[] = []
  const others: StoreEvent[] = []
  const stop = replica.subscribe(user.id, (event) => events.push(event))
  replica.subscribe(store.bob.id, (event) => others.push(event))
  // The replica's connection for notifications comes up by itself: what came before is to be looked for.
  const untilEvents = async (count: number) => {
    while (events.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await untilEvents(1)
  const [stored] = await store.mailstore.ingest([item(user.id, message())])
  await untilEvents(2)
  const anything = { modSeq: 0, mailboxIds: [] }
  const arrived = { modSeq: stored?.modSeq, mailboxIds: [user.inbox.id] }
  assert.deepEqual(
    events,
    [anything, arrived].map((what) => ({ accountId: user.id, ...what })),
  )
  assert.deepEqual(others, [{ accountId: store.bob.id, ...anything }])
  stop()
})

test('an upload is its account’s to read', async () => {
  const blobId = await store.mailstore.putUpload(store.alice.id, Buffer.from('attachment'))
  assert.equal((await store.mailstore.readBlob(store.alice.id, blobId))?.toString(), 'attachment')
  assert.equal(await store.mailstore.readBlob(store.bob.id, blobId), undefined)
  assert.equal(await store.mailstore.readBlob(store.alice.id, 'f'.repeat(64)), undefined)
  assert.equal(await store.mailstore.readBlob(store.alice.id, '../etc/passwd'), undefined)
})
