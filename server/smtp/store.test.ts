/** The listener on the real store, accounts and queue: what a client was promised is there. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestPostgres, type TestPostgres } from '../../test/postgres.ts'
import { createAccounts } from '../accounts/store.ts'
import { createPostgresBlobs } from '../blob/postgres.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/pool.ts'
import { createMailstore } from '../mailstore/mailstore.ts'
import { startQueue } from '../queue/queue.ts'
import { createSubmitter } from '../queue/submitter.ts'
import { startSink, zoneResolver } from '../queue/testing/sink.ts'
import { createRateCounter } from '../spam/rate-counter.ts'
import { testTls } from './testing/certificate.ts'
import { fakeJudge, testConfig } from './testing/fakes.ts'
import { type StartOptions, startListener } from './testing/start.ts'
import { SmtpClient } from './testing/transcript.ts'

const logger = pino({ level: 'silent' })
const now = () => new Date()
let postgres: TestPostgres
let db: Database

before(async () => {
  postgres = await startTestPostgres()
  await migrate({ url: postgres.url, logger })
  db = await openDatabase({ url: postgres.url, connections: 5, logger })
})
after(async () => {
  await db[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

/** One replica: store, queue, and a listener on them. */
async function startEngine(options: { mxPort?: number; quotaBytes?: number } & StartOptions = {}) {
  const parts = new AsyncDisposableStack()
  const config = testConfig({
    spam: { enabled: false },
    outbound: { mxPort: options.mxPort ?? 9, allowPrivateAddresses: true, pollMs: 200, retryDelaysMs: [60_000] },
  })
  const registry = new Registry()
  const blobs = createPostgresBlobs(db)
  const mailstore = parts.use(createMailstore({ db, blobs, limits: config.limits, now, logger, metrics: registry }))
  const accounts = parts.use(createAccounts({ db, domains: () => config.domains, now }))
  const { account: ann } = await accounts.put({
    address: 'ann@example.org',
    aliases: ['a@example.org'],
    password: 'secret',
  })
  const quota = options.quotaBytes === undefined ? {} : { quotaBytes: options.quotaBytes }
  const { account: bob } = await accounts.put({ address: 'bob@example.org', aliases: [], password: 'secret', ...quota })
  const resolver = zoneResolver({
    mx: { 'example.net': [{ exchange: 'mx.example.net', priority: 1 }] },
    a: { 'mx.example.net': ['127.0.0.1'] },
  })
  const common = { db, mailstore, blobs, accounts, config, logger, now }
  const queue = parts.use(startQueue({ ...common, resolver, registry, rootDirectory: '/nonexistent' }))
  const rateCounter = createRateCounter({ db, now })
  const submitter = createSubmitter({ ...common, rateCounter, metrics: queue.metrics, signingKeys: () => [] })
  const judge = fakeJudge({ enabled: false })
  const listener = parts.use(
    await startListener({ config, accounts, mailstore, submitter, queue, judge, tls: testTls, ...options }),
  )
  const emails = async (accountId: string, filter: 'inbox' | 'junk' = 'inbox') => {
    const mailbox = (await mailstore.mailboxes(accountId)).find(({ role }) => role === filter)
    assert.ok(mailbox)
    const found: string[] = []
    for await (const rows of mailstore.fetch(mailbox.id, undefined, ['subject', 'blobId']))
      for (const row of rows) found.push(row.subject ?? '')
    return found
  }
  return {
    port: listener.port,
    mailstore,
    queue,
    ann,
    bob,
    emails,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** The test's own timeout bounds it. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function session(port: number): Promise<SmtpClient> {
  const client = await SmtpClient.connect(port)
  await client.line()
  await client.command('EHLO client.example.net')
  return client
}

async function send(client: SmtpClient, from: string, recipients: string[], message: string): Promise<string> {
  assert.match(await client.command(`MAIL FROM:<${from}>`), /^250/)
  for (const recipient of recipients) assert.match(await client.command(`RCPT TO:<${recipient}>`), /^250/)
  assert.match(await client.command('DATA'), /^354/)
  client.send(`${message}\r\n.\r\n`)
  return client.reply()
}

test('after 250 the message is in each account once, aliases and subaddresses included', async () => {
  await using engine = await startEngine()
  const client = await session(engine.port)
  const recipients = ['ann@example.org', 'A@example.org', 'ann+lists@example.org', 'bob@example.org']
  const reply = await send(
    client,
    'joe@example.net',
    recipients,
    'Subject: =?utf-8?q?na=C3=AFve?=\r\nMessage-ID: <one@x>\r\n\r\nx',
  )
  assert.match(reply, /^250 2\.6\.0/)
  assert.deepEqual(await engine.emails(engine.ann.id), ['naïve'])
  assert.deepEqual(await engine.emails(engine.bob.id), ['naïve'])
  client.destroy()
})

test('a message that comes again after its 250 was lost is stored once; after a confirmed one it is a new message', async () => {
  await using engine = await startEngine()
  const before = (await engine.emails(engine.ann.id)).length
  const message = 'Subject: again\r\nMessage-ID: <two@x>\r\n\r\nx'
  const lost = await session(engine.port)
  await send(lost, 'joe@example.net', ['ann@example.org'], message)
  lost.destroy()
  const again = await session(engine.port)
  assert.match(await send(again, 'joe@example.net', ['ann@example.org'], message), /^250/)
  assert.equal((await engine.emails(engine.ann.id)).length, before + 1)
  const receipts = async () => (await db.query('select from delivery_receipt')).length
  const held = await receipts()
  await again.command('NOOP')
  await until(async () => (await receipts()) < held) // confirmations ride along a little later
  assert.match(await send(again, 'joe@example.net', ['ann@example.org'], message), /^250/)
  assert.equal((await engine.emails(engine.ann.id)).length, before + 2)
  again.destroy()
})

test('a full mailbox is refused for good alone, for now among others', async () => {
  await using engine = await startEngine({ quotaBytes: 2000 })
  const client = await session(engine.port)
  const message = `Subject: big\r\n\r\n${'x'.repeat(3000)}`
  assert.match(await send(client, '', ['bob@example.org'], message), /^552 5\.2\.2/)
  assert.match(await send(client, '', ['bob@example.org', 'ann@example.org'], message), /^452 4\.2\.2/)
  client.destroy()
})

test('a submission to here and elsewhere is stored and delivered; what bounces comes back to the inbox', async () => {
  await using sink = await startSink((address) => (address.startsWith('gone') ? '550 5.1.1 no' : undefined))
  await using engine = await startEngine({ mxPort: sink.port, role: 'submission' })
  const client = await session(engine.port)
  await client.command('STARTTLS')
  await client.startTls()
  await client.command('EHLO laptop')
  await client.command(`AUTH PLAIN ${Buffer.from('\0ann@example.org\0secret').toString('base64')}`)
  const recipients = ['bob@example.org', 'joe@example.net', 'gone@example.net']
  assert.match(
    await send(client, 'ann@example.org', recipients, 'From: ann@example.org\r\nSubject: to all\r\n\r\nx'),
    /^250/,
  )
  const [mail] = await sink.count(1)
  assert.deepEqual(mail?.recipients, ['joe@example.net'])
  await until(async () => (await engine.queue.size()) === 0)
  assert.equal((await engine.emails(engine.bob.id)).at(-1), 'to all')
  assert.equal((await engine.emails(engine.ann.id)).at(-1), 'Undelivered Mail Returned to Sender')
  client.destroy()
})

test('NOTIFY=SUCCESS is confirmed to a sender elsewhere and to one of ours (RFC 3461)', async () => {
  await using sink = await startSink()
  await using engine = await startEngine({ mxPort: sink.port })
  const client = await session(engine.port)
  for (const sender of ['joe@example.net', 'bob@example.org']) {
    await client.command(`MAIL FROM:<${sender}> ENVID=e-1`)
    assert.match(await client.command('RCPT TO:<ann@example.org> NOTIFY=SUCCESS'), /^250/)
    await client.command('DATA')
    client.send('Subject: confirm\r\n\r\nx\r\n.\r\n')
    assert.match(await client.reply(), /^250/)
  }
  const [report] = await sink.count(1)
  assert.equal(report?.reversePath, '')
  assert.match(
    report?.raw ?? '',
    /Original-Envelope-Id: e-1\r\n[\s\S]*Final-Recipient: rfc822; ann@example\.org\r\nAction: delivered\r\nStatus: 2\.1\.5/,
  )
  assert.equal((await engine.emails(engine.bob.id)).at(-1), 'Mail delivered')
  client.destroy()
})

test('junk goes to the Junk mailbox', async () => {
  await using engine = await startEngine({ judge: fakeJudge({ verdict: { action: 'junk' } }) })
  const client = await session(engine.port)
  await send(client, '', ['ann@example.org'], 'Subject: junk\r\n\r\nx')
  assert.deepEqual(await engine.emails(engine.ann.id, 'junk'), ['junk'])
  client.destroy()
})
