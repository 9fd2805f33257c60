import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import type { EmailColumn, FetchedMessage, IngestItem, MailboxRole, Ranges } from './types.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())

let counter = 0

function message(
  fields: { subject?: string; messageId?: string; references?: string; from?: string; text?: string } = {},
) {
  counter++
  const { subject = `Hello ${counter}`, from = 'Zoë <zoe@example.net>', text = 'Some text' } = fields
  const lines = [
    `From: ${from}`,
    'To: alice@example.org',
    `Subject: ${subject}`,
    `Message-ID: ${fields.messageId ?? `<m${counter}@example.net>`}`,
    ...(fields.references ? [`References: ${fields.references}`] : []),
    'Date: Mon, 23 Nov 2026 10:00:00 +0000',
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    '',
  ]
  return Buffer.from(lines.join('\r\n'))
}

function item(accountId: string, raw: Buffer, more: Partial<IngestItem> = {}): IngestItem {
  return {
    accountId,
    mailboxes: [{ role: 'inbox' }],
    keywords: [],
    receivedAt: new Date(1_800_000_000_000 + counter * 1000),
    raw,
    ...more,
  }
}

/** A fresh account, so that tests do not see each other's mail. */
async function newAccount(quotaBytes?: number) {
  const { account } = await store.accounts.put({
    address: `user${++counter}@example.org`,
    aliases: [],
    ...(quotaBytes && { quotaBytes }),
  })
  const mailboxes = await store.mailstore.mailboxes(account.id)
  const byRole = (role: MailboxRole) => {
    const mailbox = mailboxes.find((one) => one.role === role)
    assert.ok(mailbox)
    return mailbox
  }
  return { id: account.id, inbox: byRole('inbox'), trash: byRole('trash'), archive: byRole('archive') }
}

async function fetchAll<C extends EmailColumn>(mailboxId: string, columns: readonly C[], ranges?: Ranges) {
  const all: FetchedMessage<C>[] = []
  for await (const page of store.mailstore.fetch(mailboxId, ranges, columns)) all.push(...page)
  return all
}

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
  const [fetched] = await fetchAll(user.inbox.id, [
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
