/**
 * The outbound queue's worker: takes what is due from Postgres under a lease, tries to deliver it, writes down what came of
 * it. Every replica runs one; nothing is kept in memory that is not in the database (design decision 4).
 */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Accounts } from '../accounts/accounts.ts'
import type { Blobs } from '../blob/blobs.ts'
import type { EngineConfig } from '../config.ts'
import type { Database, Transaction } from '../db/database.ts'
import { Unavailable } from '../db/database.ts'
import type { Mailstore } from '../mailstore/types.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import { type AttemptResult, attempt } from './attempt.ts'
import { buildDsn } from './dsn.ts'
import { createQueueMetrics, type QueueMetrics } from './metrics.ts'
import { ownReply } from './reply.ts'
import { type Decision, decide } from './settlement.ts'
import {
  countByState,
  type Delivery,
  insertMessage,
  leaseDue,
  placeRaw,
  QUEUE_CHANNEL,
  readRaw,
  releaseLeases,
  renewLeases,
  settle,
} from './store.ts'
import { returnPathField } from './trace.ts'
import type { Queue, QueueItem } from './types.ts'

export interface QueueDeps {
  db: Database
  mailstore: Mailstore
  blobs: Blobs
  accounts: Accounts
  /** Read at each use: a live view takes effect for the next attempt. */
  config: EngineConfig
  resolver: DnsResolver
  /** Where the relay's credentials are (EngineEnvironment.rootDirectory). */
  rootDirectory: string
  logger: Logger
  registry: Registry
  now: () => Date
  /** How long attempts in progress may go on when the process stops. Default 10 s. */
  drainMs?: number
  /** Tests only: 0 .. 1. */
  random?: () => number
}

export interface RunningQueue extends Queue {
  metrics: QueueMetrics
}

const DEFAULT_DRAIN_MS = 10_000

/** Starts the worker; disposing it finishes or breaks off its attempts and gives its leases back. */
export function startQueue(deps: QueueDeps): RunningQueue {
  const { db, config, now } = deps
  const logger = deps.logger.child({ component: 'queue' })
  const metrics = createQueueMetrics(deps.registry, () => countByState(db, now()))
  const random = deps.random ?? Math.random
  const stopping = new AbortController()
  const breakOff = new AbortController()
  const active = new Map<Delivery, Promise<void>>()
  let wake: () => void = () => undefined
  let woken = false
  const wakeUp = (): void => {
    woken = true
    wake()
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = false
      await takeDue().catch((error: unknown) => {
        if (!(error instanceof Unavailable)) logger.error({ err: error }, 'taking due mail failed')
      })
      // until a notification, a free place, or the clock
      if (!woken && !stopping.signal.aborted) await sleep(config.outbound.pollMs)
    }
  }

  async function sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    wake = resolve
    await promise
    clearTimeout(timer)
  }

  async function takeDue(): Promise<void> {
    const limit = config.outbound.concurrency - active.size
    if (limit <= 0) return
    const at = now()
    const until = new Date(+at + config.outbound.leaseMs)
    const together = config.outbound.relay !== undefined
    const deliveries = await leaseDue(db, { owner: db.owner, now: at, until, limit, together })
    for (const delivery of deliveries) {
      const work = deliver(delivery)
        .catch((error: unknown) => {
          // the lease stays until it runs out: whatever failed now gets time to recover
          logger.warn({ err: error, queueId: delivery.messageId, domain: delivery.domain }, 'delivery not settled')
        })
        .finally(() => {
          active.delete(delivery)
          wakeUp()
        })
      active.set(delivery, work)
    }
  }

  async function deliver(delivery: Delivery): Promise<void> {
    const raw = await readRaw(db, deps.blobs, delivery.messageId)
    if (!raw) throw new Error('the bytes of a queued message are not there')
    const end = metrics.attemptSeconds.startTimer()
    let results: Map<string, AttemptResult>
    try {
      const { reversePath, envelopeId, ret, recipients } = delivery
      results = await attempt(deps, { reversePath, envelopeId, ret, raw }, delivery.domain, recipients, breakOff.signal)
    } catch (error) {
      logger.error({ err: error, queueId: delivery.messageId }, 'delivery attempt failed inside this server')
      results = new Map()
      const result: AttemptResult = {
        outcome: 'deferred',
        reply: ownReply('4.3.0', 'Internal error of the sending server'),
        remoteHost: undefined,
        remoteSendsDsn: false,
      }
      for (const { address } of delivery.recipients) results.set(address, result)
    }
    end()
    if (breakOff.signal.aborted) return // cut by us: no attempt of theirs; the lease is given back
    const decision = decide(delivery, results, config.outbound, now(), random)
    await carryOut(delivery, decision, raw)
    for (const [result, count] of Object.entries(decision.counts)) metrics.sent.inc({ result }, count)
    for (const [address, { outcome, reply, remoteHost }] of results)
      logger.info(
        {
          queueId: delivery.messageId,
          reversePath: delivery.reversePath,
          recipient: address,
          outcome,
          remoteHost,
          reply: reply.text,
        },
        'delivery attempted',
      )
  }

  /** Settles the rows and tells the sender, all in one transaction: no report is lost and none comes twice. */
  async function carryOut(delivery: Delivery, decision: Decision, original: Buffer): Promise<void> {
    const settleRows = (tx: Transaction) => settle(tx, db.owner, delivery.messageId, decision.settlements)
    const reports = decision.reports.map(({ action, recipients }) =>
      buildDsn({
        action,
        hostname: config.hostname,
        to: delivery.reversePath,
        envelopeId: delivery.envelopeId,
        arrivedAt: delivery.createdAt,
        recipients,
        retryUntil: action === 'delayed' ? delivery.expiresAt : undefined,
        original,
        ret: delivery.ret,
        now: now(),
        id: randomBytes(12).toString('hex'),
      }),
    )
    if (reports.length === 0) return db.transaction(settleRows)
    const sender = await deps.accounts.resolve(delivery.reversePath)
    if (sender.kind === 'local') {
      const items = reports.map((report) => ({
        accountId: sender.account.id,
        mailboxes: [{ role: 'inbox' } as const],
        keywords: [],
        receivedAt: now(),
        raw: Buffer.concat([Buffer.from(returnPathField('')), report]),
      }))
      await deps.mailstore.ingest(items, { alongside: settleRows, enforceQuota: false })
    } else if (sender.kind === 'foreign') {
      const recipients = [{ address: delivery.reversePath }]
      const bounces = await Promise.all(
        reports.map(async (raw) => ({
          item: { reversePath: '', recipients, raw },
          stored: await placeRaw(deps.blobs, raw),
        })),
      )
      await db.transaction(async (tx) => {
        await settleRows(tx)
        for (const { item, stored } of bounces) await insertMessage(tx, item, stored, lifetime())
      })
    } else {
      logger.warn({ queueId: delivery.messageId, reversePath: delivery.reversePath }, 'nobody to report to')
      await db.transaction(settleRows)
    }
  }

  const lifetime = () => {
    const at = now()
    return { now: at, expiresAt: new Date(+at + config.outbound.expireMs) }
  }

  const stopListening = db.listen(QUEUE_CHANNEL, wakeUp, wakeUp)
  const renewing = setInterval(
    () => {
      const ids = [...active.keys()].flatMap(({ recipients }) => recipients.map(({ id }) => id))
      if (ids.length === 0) return
      const until = new Date(+now() + config.outbound.leaseMs)
      renewLeases(db, db.owner, ids, until).catch((error: unknown) => logger.warn({ err: error }, 'leases not renewed'))
    },
    Math.max(1000, config.outbound.leaseMs / 3),
  )
  const running = run()

  return {
    metrics,
    async insert(tx: Transaction, item: QueueItem) {
      return insertMessage(tx, item, await placeRaw(deps.blobs, item.raw), lifetime())
    },
    async size() {
      const { due, delivering, waiting } = await countByState(db, now())
      return due + delivering + waiting
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      wakeUp()
      await running
      stopListening()
      const deadline = setTimeout(() => breakOff.abort(), deps.drainMs ?? DEFAULT_DRAIN_MS)
      await Promise.allSettled(active.values())
      clearTimeout(deadline)
      clearInterval(renewing)
      await releaseLeases(db, db.owner).catch((error: unknown) => logger.warn({ err: error }, 'leases not given back'))
    },
  }
}
