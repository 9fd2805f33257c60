/** Takes messages in: checks, prepares, and hands them to a transaction that is shared with whoever comes at the same time. */
import type { Logger } from 'pino'
import type { Blobs } from '../blob/blobs.ts'
import type { Limits } from '../config.ts'
import type { Database, Transaction } from '../db/database.ts'
import type { EmailIds } from './email-ids.ts'
import { createGroupCommit } from './group-commit.ts'
import { accountNumber } from './ids.ts'
import { type IngestCall, storeBatch } from './ingest-store.ts'
import { keywordSet } from './keywords.ts'
import type { StoreMetrics } from './metrics.ts'
import { type PreparedMessage, prepareMessage } from './prepared.ts'
import type { Receipts } from './receipts.ts'
import { type Ingested, type IngestItem, type IngestOptions, MailboxNotFound, MessageTooLarge } from './types.ts'

const MAX_CALLS_PER_TRANSACTION = 200
const MAX_BYTES_PER_TRANSACTION = 8 * 1024 * 1024
const MAX_BACKLOG_BYTES = 256 * 1024 * 1024
const TRANSACTIONS_AT_A_TIME = 2

export interface IngestDeps {
  db: Database
  blobs: Blobs
  limits: Limits
  logger: Logger
  metrics: StoreMetrics
  receipts: Receipts
  emailIds: EmailIds
}

interface Job extends IngestCall {
  deliveryKey: string | undefined
  bytes: number
}

/** @returns Mailstore.ingest */
export function createIngest(deps: IngestDeps) {
  const { db, limits, logger, metrics, receipts, emailIds } = deps

  /** One transaction's work: repeated acceptances are answered with nothing stored. */
  async function store(tx: Transaction, jobs: readonly Job[]): Promise<(Ingested[] | Error)[]> {
    const keys = jobs.map((job) => job.deliveryKey).filter((key) => key !== undefined)
    const repeated = keys.length === 0 ? new Set<string>() : await receipts.claim(tx, keys)
    const fresh = jobs.filter(({ deliveryKey }) => deliveryKey === undefined || !repeated.has(deliveryKey))
    const stored = fresh.length === 0 ? [] : await storeBatch(tx, fresh, emailIds)
    const results = new Map(fresh.map((job, index) => [job, stored[index]]))
    return jobs.map((job) => results.get(job) ?? [])
  }

  const shared = createGroupCommit<Job, Ingested[]>({
    async run(jobs) {
      const startedAt = performance.now()
      const results = await db.transaction((tx) => store(tx, jobs))
      metrics.batchSeconds.observe((performance.now() - startedAt) / 1000)
      metrics.batchMessages.observe(jobs.reduce((sum, job) => sum + job.items.length, 0))
      return results
    },
    bytesOf: (job) => job.bytes,
    maxJobs: MAX_CALLS_PER_TRANSACTION,
    maxBytes: MAX_BYTES_PER_TRANSACTION,
    maxBacklogBytes: MAX_BACKLOG_BYTES,
    concurrency: TRANSACTIONS_AT_A_TIME,
  })

  async function ownTransaction(job: Job, alongside: (tx: Transaction) => Promise<void>): Promise<Ingested[]> {
    return db.transaction(async (tx) => {
      const [result] = job.items.length === 0 ? [[]] : await store(tx, [job])
      if (result instanceof Error) throw result
      const isRepeated = job.items.length > 0 && result?.length === 0
      if (!isRepeated) await alongside(tx)
      return result ?? []
    })
  }

  return async function ingest(items: IngestItem[], options: IngestOptions = {}): Promise<Ingested[]> {
    if (items.length === 0 && !options.alongside) return []
    const job: Job = {
      items: await prepareItems(items, deps),
      enforceQuota: options.enforceQuota ?? true,
      deliveryKey: options.deliveryKey,
      bytes: [...new Set(items.map(({ raw }) => raw))].reduce((sum, raw) => sum + raw.length, 0),
    }
    const end = job.deliveryKey === undefined ? undefined : receipts.begin(job.deliveryKey)
    try {
      const stored = options.alongside ? await ownTransaction(job, options.alongside) : await shared(job)
      for (const [index, { emailId, sizeBytes }] of stored.entries()) {
        metrics.ingested.inc()
        metrics.ingestedBytes.inc(sizeBytes)
        logger.debug({ accountId: items[index]?.accountId, emailId, sizeBytes }, 'stored a message')
      }
      if (stored.length === 0 && items.length > 0) {
        metrics.repeated.inc()
        logger.info({ accountId: items[0]?.accountId }, 'a repeated delivery was stored before')
      }
      return stored
    } finally {
      end?.()
    }
  }

  async function prepareItems(items: readonly IngestItem[], { blobs }: IngestDeps): Promise<Job['items']> {
    const prepared = new Map<Buffer, PreparedMessage>()
    for (const { raw, mailboxes } of items) {
      if (raw.length > limits.messageBytes) throw new MessageTooLarge(`larger than ${limits.messageBytes} bytes`)
      if (mailboxes.length === 0) throw new MailboxNotFound('a message needs a mailbox')
      if (prepared.has(raw)) continue
      const inline = blobs.placement(raw.length) === 'inline'
      // Durable in the bucket before the index speaks of it.
      if (!inline) await blobs.put(raw)
      prepared.set(raw, prepareMessage(raw, limits, inline))
    }
    return items.map((item) => {
      const message = prepared.get(item.raw)
      if (!message) throw new Error('unreachable: every raw was prepared')
      return {
        accountId: accountNumber(item.accountId),
        mailboxes: item.mailboxes,
        keywords: keywordSet(item.keywords),
        receivedAt: item.receivedAt.getTime(),
        message,
      }
    })
  }
}
