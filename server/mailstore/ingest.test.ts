import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { createFixture, fetchAll, item, message } from './testing/fixture.ts'
import { MailboxNotFound, MessageTooLarge, OverQuota } from './types.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

test('a stored message is found with its columns, counters and bytes', async () => {
  const user = await newAccount()
  const raw = message({ subject: '=?utf-8?q?Gr=C3=BC=C3=9Fe?=' })
  const [stored] = await store.mailstore.ingest([item(user.id, raw, { keywords: ['$flagged'] })])
  assert.ok(stored)
  const { mailbox, uids } = await store.mailstore.openMailbox(user.id, user.inbox.id)
  assert.deepEqual(uids, [1])
  assert.deepEqual(
    [
      mailbox.totalEmails,
      mailbox.unreadEmails,
      mailbox.totalThreads,
      mailbox.unreadThreads,
      mailbox.sizeBytes,
      mailbox.uidNext,
    ],
    [1, 1, 1, 1, raw.length, 2],
  )
  assert.equal(mailbox.highestModSeq, stored.modSeq)
  const [fetched] = await fetchAll(store.mailstore, user.inbox.id, [
    'subject',
    'from',
    'envelope',
    'structure',
    'receivedAt',
    'blobId',
    'preview',
  ])
  assert.equal(fetched?.subject, 'Grüße')
  assert.deepEqual(fetched?.from, [{ name: 'Zoë', email: 'zoe@example.net' }])
  assert.equal(fetched?.envelope.subject, '=?utf-8?q?Gr=C3=BC=C3=9Fe?=')
  assert.equal(fetched?.structure.subtype, 'plain')
  assert.equal(fetched?.preview, 'Some text')
  assert.deepEqual(fetched?.keywords, ['$flagged'])
  assert.equal(fetched?.modSeq, stored.modSeq)
  assert.deepEqual(await store.mailstore.readBlob(user.id, stored.blobId), raw)
  assert.equal(await store.mailstore.readBlob(store.bob.id, stored.blobId), undefined)
})

test('a role without a mailbox falls back to the inbox; an unknown mailbox is refused alone', async () => {
  const user = await newAccount()
  const other = await newAccount()
  const good = store.mailstore.ingest([item(user.id, message(), { mailboxes: [{ role: 'important' }] })])
  const bad = store.mailstore.ingest([item(user.id, message(), { mailboxes: [{ id: 'm999999' }] })])
  const foreign = store.mailstore.ingest([item(user.id, message(), { mailboxes: [{ id: other.inbox.id }] })])
  await Promise.all([assert.rejects(bad, MailboxNotFound), assert.rejects(foreign, MailboxNotFound)])
  assert.equal((await good)[0]?.memberships[0]?.mailboxId, user.inbox.id)
  assert.deepEqual((await store.mailstore.openMailbox(user.id, user.inbox.id)).uids, [1])
})

test('one raw message for several accounts is one blob, and one email in each', async () => {
  const [one, two] = [await newAccount(), await newAccount()]
  const raw = message()
  const stored = await store.mailstore.ingest([item(one.id, raw), item(two.id, raw)])
  assert.equal(stored.length, 2)
  assert.equal(stored[0]?.blobId, stored[1]?.blobId)
  for (const user of [one, two]) assert.equal((await fetchAll(store.mailstore, user.inbox.id, [])).length, 1)
})

test('bytes come back as they were, NUL and 8-bit included', async () => {
  const user = await newAccount()
  const raw = Buffer.concat([
    Buffer.from('Subject: a\0b\xff\r\n\r\n', 'latin1'),
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  ])
  const [stored] = await store.mailstore.ingest([item(user.id, raw)])
  assert.deepEqual(await store.mailstore.readBlob(user.id, stored?.blobId ?? ''), raw)
})

test('what would pass the quota is refused, for all items of the call and for nobody else', async () => {
  const raw = message()
  const limited = await newAccount(raw.length + 10)
  const free = await newAccount()
  await assert.rejects(
    store.mailstore.ingest([item(free.id, raw), item(limited.id, raw), item(limited.id, message())]),
    OverQuota,
  )
  assert.equal((await fetchAll(store.mailstore, free.inbox.id, [])).length, 0)
  await store.mailstore.ingest([item(limited.id, raw)])
  await assert.rejects(store.mailstore.ingest([item(limited.id, raw)]), OverQuota)
  await assert.rejects(store.mailstore.copy(limited.id, limited.inbox.id, [[1, 1]], limited.archive.id), OverQuota)
  await store.mailstore.ingest([item(limited.id, raw)], { enforceQuota: false })
  assert.equal((await fetchAll(store.mailstore, limited.inbox.id, [])).length, 2)
})

test('a message above the limit is refused', async () => {
  const raw = Buffer.alloc(store.config.limits.messageBytes + 1, 'x')
  await assert.rejects(store.mailstore.ingest([item(store.bob.id, raw)]), MessageTooLarge)
})

test('what runs alongside commits with the messages or not at all', async () => {
  const user = await newAccount()
  await store.db.query('create table beside (n int)')
  const failing = store.mailstore.ingest([item(user.id, message())], {
    alongside: async (tx) => {
      await tx.query('insert into beside values (1)')
      throw new Error('no')
    },
  })
  await assert.rejects(failing, /no/)
  assert.equal((await fetchAll(store.mailstore, user.inbox.id, [])).length, 0)
  await store.mailstore.ingest([item(user.id, message())], {
    alongside: async (tx) => void (await tx.query('insert into beside values (2)')),
  })
  assert.deepEqual(await store.db.query('select n from beside'), [{ n: 2 }])
  assert.equal((await fetchAll(store.mailstore, user.inbox.id, [])).length, 1)
})

for (const [name, second, together] of [
  ['a reply with the same base subject joins the thread', { subject: 'Re: Plan', references: '<root@x>' }, true],
  ['the same subject alone does not', { subject: 'Plan' }, false],
  ['a reference under another subject does not', { subject: 'Other', references: '<root@x>' }, false],
] as const) {
  test(`${name} (RFC 8621 §3)`, async () => {
    const user = await newAccount()
    const [root] = await store.mailstore.ingest([item(user.id, message({ subject: 'Plan', messageId: '<root@x>' }))])
    const [reply] = await store.mailstore.ingest([item(user.id, message(second))])
    assert.equal(reply?.threadId === root?.threadId, together)
    const threads = await store.mailstore.threads(user.id, [root?.threadId ?? '', 't1'])
    const expected = together ? [root?.emailId, reply?.emailId] : [root?.emailId]
    assert.deepEqual(threads, [{ id: root?.threadId, emailIds: expected }])
  })
}
