import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestPostgres, type TestPostgres } from '../../test/postgres.ts'
import { createPostgresBlobs } from '../blob/postgres.ts'
import type { EngineConfigInput } from '../config.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/pool.ts'
import type { Mailstore } from '../mailstore/types.ts'
import { testTls } from '../smtp/testing/certificate.ts'
import { fakeAccounts, fakeMailstore, testConfig } from '../smtp/testing/fakes.ts'
import { createRateCounter } from '../spam/rate-counter.ts'
import { type QueueDeps, type RunningQueue, startQueue } from './queue.ts'
import { leaseDue } from './store.ts'
import { createSubmitter } from './submitter.ts'
import { startSink, zoneResolver } from './testing/sink.ts'
import { type QueueItem, SubmissionRefused } from './types.ts'

const logger = pino({ level: 'silent' })
let postgres: TestPostgres
let db: Database
let other: Database

before(async () => {
  postgres = await startTestPostgres()
  await migrate({ url: postgres.url, logger })
  db = await openDatabase({ url: postgres.url, connections: 5, logger })
  other = await openDatabase({ url: postgres.url, connections: 5, logger })
})
after(async () => {
  await db[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})
beforeEach(() => db.query('truncate queue_message cascade'))

const ITEM: QueueItem = {
  reversePath: 'ann@example.org',
  recipients: [{ address: 'joe@example.net' }],
  raw: Buffer.from('From: ann@example.org\r\nSubject: hello\r\n\r\n.dot\r\n'),
}
const resolver = zoneResolver({
  mx: {
    'example.net': [{ exchange: 'mx.example.net', priority: 10 }],
    'bücher.example': [],
    'xn--bcher-kva.example': [{ exchange: 'mx.example.net', priority: 10 }],
    'example.com': [
      { exchange: 'dead.example.com', priority: 1 },
      { exchange: 'mx.example.net', priority: 10 },
    ],
  },
  a: { 'mx.example.net': ['127.0.0.1'], 'dead.example.com': ['127.0.0.9'] },
})

type Outbound = NonNullable<EngineConfigInput['outbound']>

/** A queue worker whose mail store stores nothing but runs the statements alongside. */
function startWorker(mxPort: number, options: { outbound?: Outbound; at?: Database } & Partial<QueueDeps> = {}) {
  const database = options.at ?? db
  const config = testConfig({
    outbound: { mxPort, allowPrivateAddresses: true, pollMs: 200, retryDelaysMs: [0, 0, 60_000], ...options.outbound },
  })
  const mailstore = fakeMailstore()
  const storing: Mailstore = Object.assign(Object.create(mailstore), {
    ingest: async (...[items, ingestOptions]: Parameters<Mailstore['ingest']>) => {
      const { alongside, ...rest } = ingestOptions ?? {}
      if (alongside) await database.transaction(alongside)
      return mailstore.ingest(items, rest)
    },
  })
  const accounts = fakeAccounts(['ann@example.org', 'bob@example.org'])
  const registry = new Registry()
  const blobs = createPostgresBlobs(database)
  const now = () => new Date()
  const deps = { db: database, mailstore: storing, blobs, accounts, config, resolver, logger, registry, now }
  const queue = startQueue({ rootDirectory: '/nonexistent', ...deps, ...options })
  return { queue, config, mailstore, storing, accounts, registry, blobs, now }
}

const insert = (queue: RunningQueue, item: Partial<QueueItem> = {}) =>
  db.transaction((tx) => queue.insert(tx, { ...ITEM, ...item }))

/** The test's own timeout bounds it. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}
const untilEmpty = (queue: RunningQueue) => until(async () => (await queue.size()) === 0)

test('a queued message is delivered to the MX and leaves the queue', async () => {
  await using sink = await startSink()
  const { queue, registry } = startWorker(sink.port)
  await using _ = queue
  await insert(queue)
  const [mail] = await sink.count(1)
  assert.equal(mail?.reversePath, 'ann@example.org')
  assert.deepEqual(mail?.recipients, ['joe@example.net'])
  assert.equal(mail?.raw, ITEM.raw.toString())
  await untilEmpty(queue)
  assert.deepEqual(await db.query('select 1 from queue_message'), [])
  // Counted when the database has said that it is settled, which others may see before.
  await until(async () => /stalwart_messages_sent_total\{result="delivered"\} 1/.test(await registry.metrics()))
  assert.match(await registry.metrics(), /stalwart_queue_size\{state="waiting"\} 0/)
})

test('recipients of one domain share a transaction, other domains have their own', async () => {
  await using sink = await startSink()
  const { queue } = startWorker(sink.port)
  await using _ = queue
  const recipients = ['joe@example.net', 'eve@EXAMPLE.net', 'kim@bücher.example'].map((address) => ({ address }))
  await insert(queue, { recipients })
  const mails = await sink.count(2)
  assert.deepEqual(mails.map((mail) => mail.recipients.sort().join()).sort(), [
    'eve@example.net,joe@example.net',
    'kim@bücher.example', // the sink shows A-labels as U-labels
  ])
  await untilEmpty(queue)
})

test('the next host is tried when the best MX does not answer', async () => {
  await using sink = await startSink()
  const { queue } = startWorker(sink.port)
  await using _ = queue
  await insert(queue, { recipients: [{ address: 'joe@example.com' }] })
  await sink.count(1)
  await untilEmpty(queue)
})

test('each recipient has its own result: delivered, tried again, bounced to a local sender', async () => {
  let busy = 2
  await using sink = await startSink((address) => {
    if (address.startsWith('gone')) return '550 5.1.1 no such user'
    return address.startsWith('busy') && busy-- > 0 ? '451 4.2.0 later' : undefined
  })
  const { queue, mailstore } = startWorker(sink.port)
  await using _ = queue
  await insert(queue, {
    recipients: ['ok@example.net', 'gone@example.net', 'busy@example.net'].map((address) => ({ address })),
  })
  const mails = await sink.count(2)
  assert.deepEqual(
    mails.map((mail) => mail.recipients.join()),
    ['ok@example.net', 'busy@example.net'],
  )
  await untilEmpty(queue)
  assert.equal(mailstore.ingested.length, 1)
  const bounce = mailstore.ingested[0]
  assert.equal(bounce?.accountId, '1')
  assert.equal(bounce?.enforceQuota, false)
  assert.match(
    bounce?.raw.toString() ?? '',
    /^Return-Path: <>\r\n[\s\S]*Final-Recipient: rfc822; gone@example\.net\r\nAction: failed\r\nStatus: 5\.1\.1/,
  )
})

test('a bounce to a foreign sender goes out with the null reverse-path, and bounces no further', async () => {
  await using sink = await startSink((address) => (address.startsWith('gone') ? '550 no' : undefined))
  const { queue } = startWorker(sink.port)
  await using _ = queue
  await insert(queue, { reversePath: 'sender@example.net', recipients: [{ address: 'gone@example.net' }] })
  const [bounce] = await sink.count(1)
  assert.equal(bounce?.reversePath, '')
  assert.deepEqual(bounce?.recipients, ['sender@example.net'])
  await insert(queue, { reversePath: '', recipients: [{ address: 'gone@example.net' }] })
  await untilEmpty(queue)
  assert.equal(sink.received.length, 1)
})

test('mail for a domain that does not exist bounces at once', async () => {
  const { queue, mailstore } = startWorker(9)
  await using _ = queue
  await insert(queue, { recipients: [{ address: 'joe@nowhere.example' }] })
  await untilEmpty(queue)
  assert.match(
    mailstore.ingested[0]?.raw.toString() ?? '',
    /Status: 5\.1\.2\r\nDiagnostic-Code: X-Mail-Engine; The domain nowhere/,
  )
})

test('an MX inside private networks gets nothing unless that is allowed', async () => {
  await using sink = await startSink()
  const { queue, mailstore } = startWorker(sink.port, { outbound: { allowPrivateAddresses: false } })
  await using _ = queue
  await insert(queue)
  await untilEmpty(queue)
  assert.equal(sink.received.length, 0)
  assert.match(mailstore.ingested[0]?.raw.toString() ?? '', /Status: 5\.4\.4/)
})

test('two workers on one database deliver each message once', async () => {
  await using sink = await startSink()
  const one = startWorker(sink.port, { outbound: { concurrency: 3 } })
  const two = startWorker(sink.port, { outbound: { concurrency: 3 }, at: other })
  await using _one = one.queue
  await using _two = two.queue
  const subjects = Array.from({ length: 40 }, (_, i) => `s${i}`)
  await Promise.all(
    subjects.map((subject) => insert(one.queue, { raw: Buffer.from(`Subject: ${subject}\r\n\r\nx\r\n`) })),
  )
  await sink.count(40)
  await untilEmpty(one.queue)
  assert.equal(new Set(sink.received.map(({ raw }) => raw)).size, 40)
  assert.equal(sink.received.length, 40)
})

test('what a killed replica held is taken up once its lease has run out', async () => {
  await using sink = await startSink()
  const stopped = startWorker(sink.port)
  await insert(stopped.queue)
  await sink.count(1)
  await untilEmpty(stopped.queue)
  await stopped.queue[Symbol.asyncDispose]()
  await insert(stopped.queue)
  const now = new Date()
  const lease = { owner: other.owner, now, until: new Date(+now + 600), limit: 5, together: false }
  assert.equal((await leaseDue(other, lease)).length, 1) // and is heard of no more
  assert.equal((await leaseDue(db, { ...lease, owner: db.owner })).length, 0)
  const { queue } = startWorker(sink.port)
  await using _ = queue
  await sink.count(2)
  await untilEmpty(queue)
})

test('a worker that stops gives its leases back', async () => {
  const slow = Promise.withResolvers<void>()
  await using sink = await startSink(undefined, {
    onMailFrom: (_a, _s, callback) => void slow.promise.then(() => callback()),
  })
  const stopping = startWorker(sink.port, { drainMs: 0 })
  await insert(stopping.queue)
  await until(async () => (await db.query('select from queue_recipient where lease_owner is not null')).length === 1)
  await stopping.queue[Symbol.asyncDispose]()
  assert.deepEqual(await db.query('select lease_owner, attempts from queue_recipient'), [
    { lease_owner: null, attempts: 0 },
  ])
  slow.resolve()
})

test('an address that has become ours is delivered here; one that is nobody’s bounces', async () => {
  const { queue, mailstore } = startWorker(9)
  await using _ = queue
  await insert(queue, { recipients: [{ address: 'bob@example.org' }, { address: 'nobody@example.org' }] })
  await untilEmpty(queue)
  assert.deepEqual(
    mailstore.ingested.map(({ accountId }) => accountId),
    ['2', '1'],
  )
  assert.match(mailstore.ingested[1]?.raw.toString() ?? '', /nobody@example\.org\r\nAction: failed\r\nStatus: 5\.1\.1/)
})

test('a relay takes all domains in one transaction, with STARTTLS and a login', async () => {
  await using sink = await startSink(undefined, {
    ...testTls,
    hideSTARTTLS: false,
    disabledCommands: [],
    authOptional: false,
    onAuth: (auth, _session, callback) => callback(null, { user: `${auth.username}:${auth.password}` }),
  })
  const root = await mkdtemp(join(tmpdir(), 'relay-test-'))
  try {
    await mkdir(`${root}/relay`)
    await writeFile(`${root}/relay/username`, 'me\n')
    await writeFile(`${root}/relay/password`, 'secret\n')
    const relay = { host: '127.0.0.1', port: sink.port, tls: 'opportunistic', credentialsDir: 'relay' } as const
    const { queue } = startWorker(9, { outbound: { relay }, rootDirectory: root })
    await using _ = queue
    await insert(queue, { recipients: [{ address: 'joe@example.net' }, { address: 'kim@nowhere.example' }] })
    const [mail] = await sink.count(1)
    assert.equal(mail?.recipients.length, 2)
    assert.equal(mail?.secure, true)
    assert.equal(mail?.login, 'me:secret')
    await untilEmpty(queue)
  } finally {
    await rm(root, { recursive: true })
  }
})

test('notification wishes go along to a server that knows them (RFC 3461)', async () => {
  await using sink = await startSink()
  const { queue } = startWorker(sink.port)
  await using _ = queue
  await insert(queue, {
    recipients: [{ address: 'joe@example.net', notify: ['failure', 'delay'], orcpt: 'rfc822;j@old.example' }],
  })
  const [mail] = await sink.count(1)
  assert.deepEqual(mail?.notify, [['FAILURE', 'DELAY']])
  await untilEmpty(queue)
})

function submission(raw: string, recipients: string[], from = 'ann@example.org') {
  return {
    account: {
      id: '1',
      address: 'ann@example.org',
      displayName: undefined,
      disabled: false,
      quotaBytes: undefined,
      usedBytes: 0,
    },
    reversePath: from,
    recipients: recipients.map((address) => ({ address })),
    raw: Buffer.from(raw),
    client: { address: '192.0.2.1', helo: 'laptop', protocol: 'ESMTPSA' },
  }
}

test('a submission is signed, stored for local recipients and queued for the others', async () => {
  await using sink = await startSink()
  const worker = startWorker(sink.port)
  const { queue, mailstore } = worker
  await using _ = queue
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const submitter = createSubmitter({
    ...worker,
    db,
    logger,
    mailstore: worker.storing,
    metrics: queue.metrics,
    rateCounter: createRateCounter({ db, now: worker.now }),
    signingKeys: (domain) => [
      {
        domain,
        selector: 'default',
        algorithm: 'rsa-sha256',
        privateKey: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      },
    ],
  })
  const given = submission('From: ann@example.org\r\nBcc: joe@example.net\r\nSubject: hi\r\n\r\nx\r\n', [
    'bob@example.org',
    'joe@example.net',
  ])
  const { queueId } = await submitter.submit(given)
  assert.match(queueId ?? '', /^\d+$/)
  const [mail] = await sink.count(1)
  assert.match(
    mail?.raw ?? '',
    /^Received: from laptop \(\[192\.0\.2\.1\]\)\r\n\tby mx\.example\.org with ESMTPSA id [0-9a-f]+;[^;]+\r\nDKIM-Signature: /,
  )
  assert.match(mail?.raw ?? '', /d=example\.org;[^:]*\r\n h=[^;]*From[^;]*;[^=]*=dns\/txt; s=default;/)
  assert.doesNotMatch(mail?.raw ?? '', /Bcc/)
  assert.equal(mailstore.ingested.length, 1)
  assert.equal(mailstore.ingested[0]?.accountId, '2')
  assert.equal(mailstore.ingested[0]?.raw.toString(), `Return-Path: <ann@example.org>\r\n${mail?.raw}`)
  await untilEmpty(queue)
})

for (const [what, given, want] of [
  [
    'somebody else’s reverse-path',
    submission('\r\nx', ['joe@example.net'], 'bob@example.org'),
    { code: 553, enhanced: '5.7.1' },
  ],
  [
    'somebody else’s From',
    submission('From: bob@example.org\r\n\r\nx', ['joe@example.net']),
    { code: 550, enhanced: '5.7.1' },
  ],
  ['nobody of ours', submission('\r\nx', ['nobody@example.org', 'joe@example.net']), { code: 550, enhanced: '5.1.1' }],
  ['no recipients', submission('\r\nx', []), { code: 554, enhanced: '5.5.1' }],
  [
    'more than the account may in an hour',
    submission('\r\nx', ['a@x.example', 'b@x.example', 'c@x.example']),
    { code: 451, enhanced: '4.7.1' },
  ],
] as const)
  test(`a submission with ${what} is refused with ${want.code} ${want.enhanced}`, async () => {
    const worker = startWorker(9)
    await using queue = worker.queue
    const config = testConfig({ spam: { rateLimit: { recipientsPerAccountPerHour: 2 } } })
    const rateCounter = createRateCounter({ db, now: worker.now })
    const parts = { ...worker, config, db, logger, mailstore: worker.storing, metrics: queue.metrics, rateCounter }
    const submitter = createSubmitter({ ...parts, signingKeys: () => [] })
    await assert.rejects(submitter.submit(given), (error) => {
      assert.ok(error instanceof SubmissionRefused)
      assert.deepEqual(error.reply, want)
      return true
    })
    assert.equal(await queue.size(), 0)
  })

test('a submission to a disabled account of ours is stored for it', async () => {
  const worker = startWorker(9)
  await using queue = worker.queue
  const bob = worker.accounts.byAddress.get('bob@example.org')
  assert.ok(bob)
  bob.disabled = true
  const rateCounter = createRateCounter({ db, now: worker.now })
  const parts = { ...worker, db, logger, mailstore: worker.storing, metrics: queue.metrics, rateCounter }
  const submitter = createSubmitter({ ...parts, signingKeys: () => [] })
  await submitter.submit(submission('\r\nx', ['bob@example.org']))
  assert.deepEqual(
    worker.mailstore.ingested.map(({ accountId }) => accountId),
    [bob.id],
  )
})
