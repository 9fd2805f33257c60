/** One leased delivery from its bytes to its settled rows: who is ours, the attempt, the decision, the reports. */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { Accounts } from '../accounts/accounts.ts'
import type { Blobs } from '../blob/blobs.ts'
import type { EngineConfig } from '../config.ts'
import type { Database, Transaction } from '../db/database.ts'
import type { IngestItem, Mailstore } from '../mailstore/types.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import { type AttemptResult, attempt } from './attempt.ts'
import { buildDsn } from './dsn.ts'
import type { QueueMetrics } from './metrics.ts'
import { outcomeOf, ownReply, type Reply } from './reply.ts'
import { type Decision, decide } from './settlement.ts'
import { type Delivery, insertMessage, placeRaw, readRaw, settle } from './store.ts'
import { returnPathField } from './trace.ts'

export interface DeliveryDeps {
  db: Database
  mailstore: Mailstore
  blobs: Blobs
  accounts: Accounts
  config: EngineConfig
  resolver: DnsResolver
  rootDirectory: string
  logger: Logger
  metrics: QueueMetrics
  now: () => Date
  random: () => number
  /** Of a message that is queued now. */
  lifetime(): { now: Date; expiresAt: Date }
}

/**
 * @returns a function that carries out a delivery. It rejects when the outcome could not be written down: the lease then
 *   runs out, and the delivery is tried again
 */
export function createDelivery(deps: DeliveryDeps): (delivery: Delivery, signal: AbortSignal) => Promise<void> {
  const { db, accounts, config, logger, metrics, now } = deps

  async function deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const raw = await readRaw(db, deps.blobs, delivery.messageId)
    if (!raw) throw new Error('the bytes of a queued message are not there')
    const end = metrics.attemptSeconds.startTimer()
    const { results, local } = await tryAll(delivery, raw, signal)
    end()
    if (signal.aborted) return // cut by us: no attempt of theirs; the lease is given back
    const decision = decide(delivery, results, config.outbound, now(), deps.random)
    await carryOut(delivery, decision, raw, local)
    for (const [result, count] of Object.entries(decision.counts)) metrics.sent.inc({ result }, count)
    const { messageId: queueId, reversePath, sizeBytes } = delivery
    for (const [recipient, { outcome, reply, remoteHost }] of results)
      logger.info(
        { queueId, reversePath, recipient, sizeBytes, outcome, remoteHost, reply: reply.text },
        'delivery attempted',
      )
  }

  /** Addresses that have become ours since they were queued are delivered here, the others over the network. */
  async function tryAll(delivery: Delivery, raw: Buffer, signal: AbortSignal) {
    const results = new Map<string, AttemptResult>()
    const local = new Set<string>()
    const foreign: Delivery['recipients'] = []
    for (const recipient of delivery.recipients) {
      const resolution = await accounts.resolve(recipient.address)
      if (resolution.kind === 'foreign') foreign.push(recipient)
      else if (resolution.kind === 'local') {
        local.add(resolution.account.id)
        results.set(recipient.address, resultOf(ownReply('2.1.5', 'Delivered to a mailbox of this server')))
      } else results.set(recipient.address, resultOf(ownReply('5.1.1', 'No such mailbox here')))
    }
    if (foreign.length === 0) return { results, local }
    try {
      const { reversePath, envelopeId, ret } = delivery
      const found = await attempt(deps, { reversePath, envelopeId, ret, raw }, delivery.domain, foreign, signal)
      for (const [address, result] of found) results.set(address, result)
    } catch (error) {
      logger.error({ err: error, queueId: delivery.messageId }, 'delivery attempt failed inside this server')
      const result = resultOf(ownReply('4.3.0', 'Internal error of the sending server'))
      for (const { address } of foreign) results.set(address, result)
    }
    return { results, local }
  }

  /** Settles the rows, stores what is ours and tells the sender, all in one transaction: nothing is lost or comes twice. */
  async function carryOut(delivery: Delivery, decision: Decision, original: Buffer, local: Set<string>): Promise<void> {
    const reports = reportsOf(delivery, decision, original)
    const sender = reports.length > 0 ? await accounts.resolve(delivery.reversePath) : undefined
    const items: IngestItem[] = []
    const bounces: { raw: Buffer; stored: Awaited<ReturnType<typeof placeRaw>> }[] = []
    if (local.size > 0) {
      const copy = Buffer.concat([Buffer.from(returnPathField(delivery.reversePath)), original])
      for (const accountId of local) items.push(toInbox(accountId, copy, now()))
    }
    for (const raw of reports) {
      if (sender?.kind === 'local')
        items.push(toInbox(sender.account.id, Buffer.concat([Buffer.from(returnPathField('')), raw]), now()))
      else if (sender?.kind === 'foreign') bounces.push({ raw, stored: await placeRaw(deps.blobs, raw) })
      else logger.warn({ queueId: delivery.messageId, reversePath: delivery.reversePath }, 'nobody to report to')
    }
    const settleRows = async (tx: Transaction): Promise<void> => {
      await settle(tx, db.owner, delivery.messageId, decision.settlements)
      const recipients = [{ address: delivery.reversePath }]
      for (const { raw, stored } of bounces)
        await insertMessage(tx, { reversePath: '', recipients, raw }, stored, deps.lifetime())
    }
    if (items.length === 0) await db.transaction(settleRows)
    else await deps.mailstore.ingest(items, { alongside: settleRows, enforceQuota: false })
  }

  function reportsOf(delivery: Delivery, decision: Decision, original: Buffer): Buffer[] {
    return decision.reports.map(({ action, recipients }) =>
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
  }

  return deliver
}

function resultOf(reply: Reply): AttemptResult {
  return { outcome: outcomeOf(reply), reply, remoteHost: undefined, remoteSendsDsn: false }
}

function toInbox(accountId: string, raw: Buffer, receivedAt: Date): IngestItem {
  return { accountId, mailboxes: [{ role: 'inbox' }], keywords: [], receivedAt, raw }
}
