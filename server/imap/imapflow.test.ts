/** An independent client, ImapFlow, does what a mail reader does. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ImapFlow } from 'imapflow'
import { PASSWORD, startTestEngine, type TestEngine } from './testing/engine.ts'

let engine: TestEngine
before(async () => {
  engine = await startTestEngine()
})
after(() => engine[Symbol.asyncDispose]())

const MESSAGE = [
  'From: "Ann Lee" <ann@example.org>',
  'To: Bob <bob@example.org>',
  'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
  'Message-ID: <1@example.org>',
  'Date: Mon, 23 Nov 2026 10:00:00 +0000',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'Hallo Bob',
  '--b',
  'Content-Type: application/pdf; name=a.pdf',
  'Content-Disposition: attachment; filename=a.pdf',
  'Content-Transfer-Encoding: base64',
  '',
  'JVBERi0xLjQK',
  '--b--',
  '',
].join('\r\n')

test('ImapFlow: mailboxes, append, fetch, download, flags, search, copy, move, IDLE, delete', async () => {
  const account = await engine.account()
  const port = await engine.listen()
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: account.address, pass: PASSWORD },
    logger: false,
  })
  await client.connect()
  try {
    const mailboxes = await client.list({ statusQuery: { messages: true, unseen: true } })
    assert.deepEqual(
      mailboxes
        .filter(({ specialUse }) => specialUse)
        .map(({ specialUse }) => specialUse)
        .toSorted(),
      ['\\Archive', '\\Drafts', '\\Inbox', '\\Junk', '\\Sent', '\\Trash'],
    )
    await client.mailboxCreate(['Projekte', 'Grün'])
    const appended = await client.append('INBOX', MESSAGE, ['\\Flagged'], new Date('2026-11-23T10:00:00Z'))
    assert.ok(appended && appended.uid === 1)
    const opened = await client.mailboxOpen('INBOX')
    assert.equal(opened.exists, 1)
    assert.equal(opened.uidNext, 2)

    const found = await client.fetchOne('1', {
      uid: true,
      flags: true,
      envelope: true,
      bodyStructure: true,
      internalDate: true,
      size: true,
      threadId: true,
    })
    assert.ok(found)
    assert.equal(found.envelope?.subject, 'Grüße')
    assert.deepEqual(found.envelope?.from, [{ name: 'Ann Lee', address: 'ann@example.org' }])
    assert.deepEqual([...(found.flags ?? [])], ['\\Flagged'])
    assert.equal(found.size, MESSAGE.length)
    assert.equal(found.bodyStructure?.childNodes?.[1]?.dispositionParameters?.filename, 'a.pdf')
    assert.match(found.emailId ?? '', /^e/)

    const { content } = await client.download('1', '2')
    assert.ok(content)
    const chunks: Buffer[] = []
    for await (const chunk of content) chunks.push(Buffer.from(chunk))
    assert.equal(Buffer.concat(chunks).toString(), '%PDF-1.4\n')
    const source = await client.fetchOne('1', { source: true })
    assert.ok(source)
    assert.equal(source.source?.toString(), MESSAGE)

    await client.messageFlagsAdd('1', ['\\Seen', 'work'])
    assert.deepEqual(await client.search({ seen: true, keyword: 'work', subject: 'grüße' }), [1])
    assert.deepEqual(await client.search({ body: 'nothing like it' }), [])
    const copied = await client.messageCopy('1', 'Projekte/Grün')
    assert.ok(copied)
    assert.deepEqual([...(copied.uidMap ?? [])], [[1, 1]])

    const news = new Promise<number>((resolve) =>
      client.once('exists', ({ count }: { count: number }) => resolve(count)),
    )
    const idling = client.idle()
    await engine.mailstore.ingest([
      {
        accountId: account.id,
        mailboxes: [{ role: 'inbox' }],
        keywords: [],
        receivedAt: new Date(),
        raw: Buffer.from(MESSAGE),
      },
    ])
    assert.equal(await news, 2)
    const moved = await client.messageMove('2', 'Trash')
    await idling
    assert.ok(moved && moved.uidMap?.get(2) === 1)
    assert.equal(await client.messageDelete('1'), true)
    const status = await client.status('INBOX', { messages: true })
    assert.ok(status && status.messages === 0)
    const quota = await client.getQuota('INBOX')
    assert.ok(quota)
    await client.mailboxRename('Projekte', 'Alt')
    await client.mailboxDelete('Alt/Grün')
    assert.ok((await client.list()).some(({ path }) => path === 'Alt'))
  } finally {
    await client.logout()
  }
})
