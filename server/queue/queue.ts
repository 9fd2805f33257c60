/**
 * The outbound queue's worker: takes what is due from Postgres under a lease, tries to deliver it, writes down what came of
 * it. Every replica runs one; nothing is kept in memory that is not in the database (design decision 4).
 */
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Accounts } from '../accounts/accounts.ts'
import type { Blobs } from '../blob/blobs.ts'
import type { EngineConfig } from '../config.ts'
import type { Database, Transaction } from '../db/database.ts'
import { Unavailable } from '../db/database.ts'
import type { Mailstore } from '../mailstore/types.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import { createDelivery } from './delivery.ts'
import { createQueueMetrics, type QueueMetrics } from './metrics.ts'
import {
  countByState,
  type Delivery,
  insertMessage,
  leaseDue,
  placeRaw,
  QUEUE_CHANNEL,
  releaseLeases,
  renewLeases,
} from './store.ts'
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
  const lifetime = () => {
    const at = now()
    return { now: at, expiresAt: new Date(+at + config.outbound.expireMs) }
  }
  const deliver = createDelivery({ ...deps, logger, metrics, lifetime, random: deps.random ?? Math.random })
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
      const work = deliver(delivery, breakOff.signal)
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
