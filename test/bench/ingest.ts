/**
 * Messages per second through Mailstore.ingest: 10-kB messages, 20 callers, 50 accounts, on a private Postgres with fsync
 * on. Then the store's reads of a large mailbox. Prints one line per measure; `--messages N` and `--callers N` change the load.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { launchPostgres } from '../../operator/local/postgres/launch.ts'
import { createAccounts } from '../../server/accounts/store.ts'
import { createPostgresBlobs } from '../../server/blob/postgres.ts'
import { parseEngineConfig } from '../../server/config.ts'
import { migrate } from '../../server/db/migrate.ts'
import { openDatabase } from '../../server/db/pool.ts'
import { createMailstore } from '../../server/mailstore/mailstore.ts'
import type { Mailstore } from '../../server/mailstore/types.ts'

const MESSAGE_BYTES = 10_240
const MAILBOX_MESSAGES = 10_000

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '10000' },
    callers: { type: 'string', default: '20' },
    accounts: { type: 'string', default: '50' },
  },
})
const messages = Number(values.messages)
const callers = Number(values.callers)

const dataDir = await mkdtemp(join(tmpdir(), 'mail-bench-'))
const logger = pino({ level: 'silent' })
try {
  await using postgres = await launchPostgres({ dataDir, superuserPassword: 'bench', logger })
  const url = postgres.url()
  await migrate({ url, logger })
  const registry = new Registry()
  await using db = await openDatabase({ url, connections: 10, logger, metrics: registry })
  const config = parseEngineConfig({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }] })
  const { limits } = config
  const now = () => new Date()
  await using mailstore = createMailstore({
    db,
    blobs: createPostgresBlobs(db),
    limits,
    now,
    logger,
    metrics: registry,
  })
  using accounts = createAccounts({ db, domains: () => config.domains, now })
  const ids: string[] = []
  for (let index = 0; index < Number(values.accounts); index++) {
    const { account } = await accounts.put({ address: `user${index}@example.org`, aliases: [] })
    ids.push(account.id)
  }
  await measureIngest(mailstore, ids)
  await measureMailbox(mailstore, ids[0] ?? '')
} finally {
  await rm(dataDir, { recursive: true, force: true })
}

function message(number: number, subject = `Report ${number}`): Buffer {
  const head = [
    'Received: from client.example.net by mail.example.org with ESMTP; Mon, 23 Nov 2026 10:00:00 +0000',
    `From: "Sender ${number}" <sender${number % 100}@example.net>`,
    'To: Recipient <user@example.org>, Other <other@example.org>',
    `Subject: ${subject}`,
    `Message-ID: <${number}.${process.pid}@example.net>`,
    'Date: Mon, 23 Nov 2026 10:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    '',
  ].join('\r\n')
  const line = `${'The quick brown fox jumps over the lazy dog. '.repeat(2).slice(0, 76)}\r\n`
  return Buffer.from((head + line.repeat(MESSAGE_BYTES / line.length + 1)).slice(0, MESSAGE_BYTES))
}

async function measureIngest(mailstore: Mailstore, accountIds: string[]): Promise<void> {
  let next = 0
  const startedAt = performance.now()
  const cpuAt = process.cpuUsage()
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < messages) {
        const number = next++
        const accountId = accountIds[number % accountIds.length] ?? ''
        const raw = message(number)
        await mailstore.ingest([
          { accountId, mailboxes: [{ role: 'inbox' }], keywords: [], receivedAt: new Date(), raw },
        ])
      }
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuAt)
  console.log(
    `ingest: ${(messages / seconds).toFixed(0)} messages/s, own CPU ${((cpu.user + cpu.system) / 1000 / messages).toFixed(3)} ms per message`,
  )
}

async function measureMailbox(mailstore: Mailstore, accountId: string): Promise<void> {
  for (const size of [MAILBOX_MESSAGES / 10, MAILBOX_MESSAGES]) {
    const { id } = await mailstore.createMailbox(accountId, `Box ${size}`)
    for (let first = 0; first < size; first += 100) {
      const items = Array.from({ length: 100 }, (_, index) => ({
        accountId,
        mailboxes: [{ id }],
        keywords: [],
        receivedAt: new Date(1_800_000_000_000 + (first + index) * 1000),
        raw: message(size + first + index),
      }))
      await mailstore.ingest(items)
    }
    const sort = [{ property: 'receivedAt' as const, ascending: false }]
    const query = { filter: { inMailbox: id }, sort, position: 0, limit: 50, calculateTotal: true }
    await timed(`open (${size})`, () => mailstore.openMailbox(accountId, id))
    await timed(`query 50 (${size})`, () => mailstore.query(accountId, { ...query, collapseThreads: false }))
    await timed(`query 50 threads (${size})`, () => mailstore.query(accountId, { ...query, collapseThreads: true }))
    await timed(`fetch uid, flags (${size})`, () => drain(mailstore.fetch(id, undefined, [])))
    await timed(`fetch uid, flags, envelope (${size})`, () => drain(mailstore.fetch(id, undefined, ['envelope'])))
    const all: [number, number][] = [[1, size]]
    for (const [name, op, keyword] of [
      ['flag', 'add', '$flagged'],
      ['seen', 'add', '$seen'],
      ['unseen', 'remove', '$seen'],
    ] as const) {
      await timed(
        `changeFlags ${name} (${size})`,
        () => mailstore.changeFlags(accountId, id, all, { op, keywords: [keyword] }),
        1,
      )
    }
    await timed(`search subject (${size})`, () => mailstore.search(accountId, id, { subject: 'port 12' }))
    await timed(`search body (${size})`, () => mailstore.search(accountId, id, { body: 'lazy cat' }), 1)
    await timed(`copy (${size})`, () => mailstore.copy(accountId, id, all, id), 1)
    await timed(`delete (${size})`, () => mailstore.deleteMailbox(accountId, id, { removeMessages: true }), 1)
  }
}

async function drain(pages: AsyncIterable<unknown[]>): Promise<number> {
  let count = 0
  for await (const page of pages) count += page.length
  return count
}

async function timed(name: string, work: () => Promise<unknown>, runs = 5): Promise<void> {
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const startedAt = performance.now()
    await work()
    times.push(performance.now() - startedAt)
  }
  const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0
  console.log(`${name.padEnd(36)} ${median.toFixed(1)} ms`)
}
