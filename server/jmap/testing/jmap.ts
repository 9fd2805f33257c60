/** A JMAP server on the real store and a real Postgres, for tests; only what leaves it, submissions, is caught. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestPostgres } from '../../../test/postgres.ts'
import type { Account } from '../../accounts/accounts.ts'
import { createAccounts } from '../../accounts/store.ts'
import { createPostgresBlobs } from '../../blob/postgres.ts'
import { type EngineConfigInput, parseEngineConfig } from '../../config.ts'
import { migrate } from '../../db/migrate.ts'
import { openDatabase } from '../../db/pool.ts'
import { createHttpMetrics } from '../../http/metrics.ts'
import { createHttpServer } from '../../http/server.ts'
import { createMailstore } from '../../mailstore/mailstore.ts'
import type { Submission, Submitter } from '../../queue/types.ts'
import { createJmap } from '../http/routes.ts'
import { createJmapMetrics } from '../metrics.ts'
import type { Invocation } from '../wire/result-references.ts'

export const USING = ['urn:ietf:params:jmap:core', 'urn:ietf:params:jmap:mail', 'urn:ietf:params:jmap:submission']

export interface JmapOptions {
  config?: Partial<EngineConfigInput>
  /** What becomes of submissions; by default they are only remembered. */
  submit?: Submitter['submit']
}

export type TestJmap = Awaited<ReturnType<typeof startJmap>>

/** alice@example.org and bob@example.org, password 'secret'. */
export async function startJmap({ config: overrides, submit }: JmapOptions = {}) {
  await using started = new AsyncDisposableStack()
  const logger = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const config = parseEngineConfig({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }], ...overrides })
  const postgres = started.use(await startTestPostgres())
  await migrate({ url: postgres.url, logger })
  const db = started.use(await openDatabase({ url: postgres.url, connections: 5, logger }))
  const now = () => new Date()
  const registry = new Registry()
  const mailstore = started.use(
    createMailstore({ db, blobs: createPostgresBlobs(db), limits: config.limits, now, logger, metrics: registry }),
  )
  const accounts = started.use(createAccounts({ db, domains: () => config.domains, now }))
  const people: Record<string, Account> = {}
  for (const name of ['alice', 'bob']) {
    people[name] = (await accounts.put({ address: `${name}@example.org`, aliases: [], password: 'secret' })).account
  }
  const submissions: Submission[] = []
  const submitter: Submitter = {
    async submit(submission) {
      const answer = (await submit?.(submission)) ?? { queueId: 'q1' }
      submissions.push(submission)
      return answer
    },
  }
  const metrics = createJmapMetrics(registry)
  const failures: string[] = []
  const throttle = {
    allowed: async () => failures.length < config.limits.authFailuresPerAddressPerHour,
    failed: async (address: string) => void failures.push(address),
  }
  const jmap = createJmap({
    deps: { mailstore, accounts, submitter, config, now },
    throttle,
    metrics,
    log: logger,
    failureDelayMs: 0,
  })
  const http = started.use(createHttpServer({ metrics: createHttpMetrics(registry), log: logger }))
  http.routes.push(...jmap.routes)
  const server = createServer() // only its port is used: connections go to ours
  server.removeAllListeners('connection')
  server.on('connection', (socket) => http.serve(socket, { remoteAddress: '192.0.2.1', peerAddress: '127.0.0.1' }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  started.defer(() => void server.close())

  const authorization = (login: string, password = 'secret') =>
    `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`
  const request = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, {
      ...init,
      headers: { Authorization: authorization('alice@example.org'), ...(init.headers as Record<string, string>) },
    })

  /** Sends method calls as alice. */
  async function calls(...methodCalls: Invocation[]): Promise<Invocation[]> {
    const response = await request('/jmap/api', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ using: USING, methodCalls }),
    })
    const body = (await response.json()) as { methodResponses?: Invocation[] }
    if (!body.methodResponses) throw new Error(`JMAP answered ${response.status} ${JSON.stringify(body)}`)
    return body.methodResponses
  }

  const alice = people.alice?.id ?? ''
  /** One call as alice on her account; an error comes as its arguments. */
  async function call(name: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const [response] = await calls([name, { accountId: alice, ...args }, 'c'])
    return response?.[1] ?? {}
  }

  async function mailbox(role: string): Promise<string> {
    const found = (await mailstore.mailboxes(alice)).find((one) => one.role === role)
    return found?.id ?? ''
  }

  /** Stores a message in alice's inbox. */
  async function deliver(
    message: string | Buffer,
    receivedAt = new Date('2026-01-02T03:04:05Z'),
    keywords: string[] = [],
  ) {
    const raw = Buffer.from(typeof message === 'string' ? message.replace(/\r?\n/g, '\r\n') : message)
    const item = { accountId: alice, mailboxes: [{ role: 'inbox' as const }], keywords, receivedAt, raw }
    const [stored] = await mailstore.ingest([item])
    if (!stored) throw new Error('not stored')
    return stored
  }

  const owned = started.move()
  return {
    url,
    alice,
    config,
    mailstore,
    accounts,
    submissions,
    registry,
    request,
    authorization,
    calls,
    call,
    mailbox,
    deliver,
    drain: () => jmap.drain(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
