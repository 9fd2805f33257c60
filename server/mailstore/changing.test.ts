import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { createFixture, fetchAll, item, message } from './testing/fixture.ts'
import { MailboxNotFound } from './types.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

test('an unread message in the trash does not make its thread unread elsewhere (RFC 8621 §2)', async () => {
  const user = await newAccount()
  const one = message({ subject: 'T', messageId: '<t@x>' })
  const two = message({ subject: 'T', references: '<t@x>' })
  await store.mailstore.ingest([item(user.id, one, { keywords: ['$seen'] })])
  await store.mailstore.ingest([item(user.id, two, { mailboxes: [{ role: 'trash' }] })])
  const unread = async (id: string) => (await store.mailstore.mailbox(user.id, id))?.unreadThreads
  assert.deepEqual([await unread(user.inbox.id), await unread(user.trash.id)], [0, 1])
})

test('UNCHANGEDSINCE leaves messages alone that changed since (RFC 7162 §3.1.3)', async () => {
  const user = await newAccount()
  await store.mailstore.ingest([item(user.id, message()), item(user.id, message())])
  const since = (await store.mailstore.openMailbox(user.id, user.inbox.id)).mailbox.highestModSeq
  await store.mailstore.changeFlags(user.id, user.inbox.id, [[2, 2]], { op: 'add', keywords: ['$Seen'] })
  const result = await store.mailstore.changeFlags(
    user.id,
    user.inbox.id,
    [[1, 4294967295]],
    { op: 'add', keywords: ['$flagged'] },
    since,
  )
  assert.deepEqual(result.modified, [2])
  assert.deepEqual(
    result.updated.map(({ uid, keywords, modSeq }) => [uid, keywords, modSeq]),
    [[1, ['$flagged'], since + 2]],
  )
})

test('flags that are there already change nothing, not even the state', async () => {
  const user = await newAccount()
  await store.mailstore.ingest([item(user.id, message(), { keywords: ['$seen'] })])
  const state = await store.mailstore.state(user.id)
  const { updated, modSeq } = await store.mailstore.changeFlags(user.id, user.inbox.id, [[1, 1]], {
    op: 'add',
    keywords: ['$seen'],
  })
  assert.equal(modSeq, undefined)
  assert.deepEqual(
    updated.map((row) => row.modSeq),
    [state],
  )
  assert.equal(await store.mailstore.state(user.id), state)
})

test('EXPUNGE removes what is \\Deleted, UID EXPUNGE of those only the given', async () => {
  const user = await newAccount()
  const keywords = [['$deleted'], [], ['$deleted'], ['$deleted']]
  await store.mailstore.ingest(keywords.map((one) => item(user.id, message(), { keywords: one })))
  assert.deepEqual((await store.mailstore.expunge(user.id, user.inbox.id, [[2, 3]])).uids, [3])
  assert.deepEqual((await store.mailstore.expunge(user.id, user.inbox.id)).uids, [1, 4])
  assert.deepEqual(
    (await fetchAll(store.mailstore, user.inbox.id, [])).map(({ uid }) => uid),
    [2],
  )
})

test('COPY makes emails of their own, MOVE keeps the email under a new UID', async () => {
  const user = await newAccount()
  const stored = await store.mailstore.ingest([item(user.id, message()), item(user.id, message())])
  const copied = await store.mailstore.copy(user.id, user.inbox.id, [[1, 2]], user.archive.id)
  assert.deepEqual(copied, {
    uidValidity: user.archive.uidValidity,
    pairs: [
      [1, 1],
      [2, 2],
    ],
  })
  const moved = await store.mailstore.move(user.id, user.inbox.id, [[2, 2]], user.archive.id)
  assert.deepEqual(moved.pairs, [[2, 3]])
  const archive = await fetchAll(store.mailstore, user.archive.id, ['blobId'])
  assert.deepEqual(
    archive.map(({ blobId }) => blobId),
    [stored[0]?.blobId, stored[1]?.blobId, stored[1]?.blobId],
  )
  assert.equal(archive[2]?.emailId, stored[1]?.emailId)
  assert.equal(new Set(archive.map(({ emailId }) => emailId)).size, 3)
  await assert.rejects(store.mailstore.copy(user.id, user.inbox.id, [[1, 1]], 'm999999'), MailboxNotFound)
})
