import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { createMailboxMethods } from './mailboxes.ts'
import { createFixture, item, message } from './testing/fixture.ts'
import {
  LimitReached,
  MailboxExists,
  MailboxHasChildren,
  MailboxNameInvalid,
  MailboxNotEmpty,
  MailboxNotFound,
} from './types.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())
const { newAccount } = createFixture(() => store)

test('a new account has its mailboxes with roles', async () => {
  const mailboxes = await store.mailstore.mailboxes(store.alice.id)
  assert.deepEqual(
    mailboxes.map(({ path, role }) => [path, role]),
    [
      ['INBOX', 'inbox'],
      ['Drafts', 'drafts'],
      ['Sent', 'sent'],
      ['Archive', 'archive'],
      ['Junk', 'junk'],
      ['Trash', 'trash'],
    ],
  )
})

test('mailboxes: paths, INBOX by any case, parents made, renames with children, roles once', async () => {
  const { id } = await newAccount()
  const { mailstore } = store
  const deep = await mailstore.createMailbox(id, 'Projects/2026/Engine')
  assert.equal((await mailstore.mailboxByPath(id, 'Projects/2026'))?.id, deep.parentId)
  assert.equal((await mailstore.mailboxByPath(id, 'inBOX'))?.role, 'inbox')
  await assert.rejects(mailstore.createMailbox(id, 'Projects'), MailboxExists)
  await assert.rejects(mailstore.createMailbox(id, 'Inbox'), MailboxExists)
  await assert.rejects(mailstore.createMailbox(id, 'More', { role: 'sent' }), MailboxExists)
  for (const bad of ['', 'a//b', '/a', 'a/', 'a\nb', 'x'.repeat(300), Array(30).fill('a').join('/')]) {
    await assert.rejects(mailstore.createMailbox(id, bad), MailboxNameInvalid, JSON.stringify(bad.slice(0, 20)))
  }
  const projects = await mailstore.mailboxByPath(id, 'Projects')
  assert.ok(projects)
  await assert.rejects(mailstore.updateMailbox(id, projects.id, { path: 'Projects/below' }), MailboxNameInvalid)
  const renamed = await mailstore.updateMailbox(id, projects.id, { path: 'Old/Work', subscribed: false, sortOrder: 3 })
  assert.deepEqual([renamed.path, renamed.name, renamed.subscribed, renamed.sortOrder], ['Old/Work', 'Work', false, 3])
  assert.equal((await mailstore.mailbox(id, deep.id))?.path, 'Old/Work/2026/Engine')
  await assert.rejects(mailstore.deleteMailbox(id, renamed.id, { removeMessages: true }), MailboxHasChildren)
  await mailstore.ingest([item(id, message(), { mailboxes: [{ id: deep.id }] })])
  await assert.rejects(mailstore.deleteMailbox(id, deep.id, { removeMessages: false }), MailboxNotEmpty)
  await mailstore.deleteMailbox(id, deep.id, { removeMessages: true })
  assert.equal(await mailstore.mailbox(id, deep.id), undefined)
  await assert.rejects(mailstore.deleteMailbox(id, deep.id, { removeMessages: true }), MailboxNotFound)
  await assert.rejects(mailstore.openMailbox(id, deep.id), MailboxNotFound)
})

test('a mailbox made again under its name has a greater UIDVALIDITY', async () => {
  let time = Date.UTC(2026, 0)
  await using own = await startTestStore({ now: () => new Date(time) })
  const first = await own.mailstore.createMailbox(own.alice.id, 'Lists')
  await own.mailstore.deleteMailbox(own.alice.id, first.id, { removeMessages: true })
  time += 1000
  const second = await own.mailstore.createMailbox(own.alice.id, 'Lists')
  assert.ok(second.uidValidity > first.uidValidity)
})

test('UIDVALIDITY grows when the mailbox is made again at once, or when the clock has been set back', async () => {
  let time = Date.UTC(2026, 0)
  await using own = await startTestStore({ now: () => new Date(time) })
  const seen: number[] = []
  for (const step of [0, 0, 0, -60_000]) {
    time += step
    const mailbox = await own.mailstore.createMailbox(own.alice.id, 'Lists')
    await own.mailstore.deleteMailbox(own.alice.id, mailbox.id, { removeMessages: true })
    seen.push(mailbox.uidValidity)
  }
  assert.deepEqual([...new Set(seen)].sort(), seen, 'each greater than the one before')
})

test('no two mailboxes share a UIDVALIDITY, so that one may take the name of another', async () => {
  const { mailstore, alice } = store
  const validities = (await mailstore.mailboxes(alice.id)).map(({ uidValidity }) => uidValidity)
  assert.equal(new Set(validities).size, validities.length)
})

test('an account has a limit of mailboxes', async () => {
  await using own = await startTestStore({ config: { limits: { mailboxesPerAccount: 8 } } })
  await own.mailstore.createMailbox(own.alice.id, 'a/b')
  await assert.rejects(own.mailstore.createMailbox(own.alice.id, 'c'), LimitReached)
})

test('a mailbox with more messages than one transaction takes goes with all of them', async () => {
  const user = await newAccount()
  const { db, config, mailstore } = store
  const { deleteMailbox } = createMailboxMethods({ db, limits: config.limits, now: () => new Date(), deleteBatch: 3 })
  const { id } = await mailstore.createMailbox(user.id, 'Many')
  const kept = item(user.id, message())
  await mailstore.ingest([kept, ...Array.from({ length: 7 }, () => item(user.id, message(), { mailboxes: [{ id }] }))])
  await deleteMailbox(user.id, id, { removeMessages: true })
  assert.equal(await mailstore.mailbox(user.id, id), undefined)
  assert.equal((await store.accounts.findById(user.id))?.usedBytes, kept.raw.length)
})
