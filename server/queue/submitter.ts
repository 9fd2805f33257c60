/**
 * Takes over what an account sends (RFC 6409): checks that it may, completes and signs it, stores the copies for accounts
 * of ours and queues the rest, all in one transaction.
 */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { Account, Accounts } from '../accounts/accounts.ts'
import type { Blobs } from '../blob/blobs.ts'
import type { EngineConfig } from '../config.ts'
import type { Database, Transaction } from '../db/database.ts'
import type { Mailstore } from '../mailstore/types.ts'
import { signMessage } from '../senderauth/sign.ts'
import type { SigningKey } from '../senderauth/types.ts'
import type { RateCounter } from '../spam/rate-counter.ts'
import { domainOf, withALabels } from './a-labels.ts'
import { completeMessage } from './complete.ts'
import type { QueueMetrics } from './metrics.ts'
import { insertMessage, placeRaw } from './store.ts'
import { receivedField, returnPathField } from './trace.ts'
import { type QueueRecipient, type Submission, SubmissionRefused, type Submitter } from './types.ts'

export interface SubmitterDeps {
  db: Database
  accounts: Accounts
  mailstore: Mailstore
  blobs: Blobs
  config: EngineConfig
  /** The keys in use for a domain of ours, empty for others. Read at each message. */
  signingKeys(domain: string): SigningKey[]
  rateCounter: RateCounter
  metrics: Pick<QueueMetrics, 'sent'>
  logger: Logger
  now: () => Date
}

const HOUR_MS = 3_600_000

export function createSubmitter(deps: SubmitterDeps): Submitter {
  const { db, accounts, mailstore, config, metrics, now } = deps
  const logger = deps.logger.child({ component: 'submission' })
  return {
    async submit(submission) {
      const { account, deliveryKey } = submission
      const reversePath = withALabels(submission.reversePath)
      const recipients = uniqueRecipients(submission.recipients)
      await checkEnvelope(deps, submission, recipients)
      const id = randomBytes(8).toString('hex')
      const at = now()
      const complete = completeMessage(submission.raw, {
        defaultFrom: reversePath || account.address,
        hostname: config.hostname,
        now: at,
        id,
      })
      await checkFrom(accounts, account, complete.from)
      const { local, foreign } = await splitRecipients(accounts, recipients)
      await checkRate(deps, account, recipients.length)

      const signatures = await signMessage(complete.raw, deps.signingKeys(domainOf(complete.from[0] ?? '')))
      const received = receivedField({
        clientAddress: submission.client.address,
        helo: submission.client.helo,
        protocol: submission.client.protocol,
        hostname: config.hostname,
        id,
        tls: undefined,
        recipient: undefined, // several servers will see it, and recipients may be hidden
        at,
      })
      const raw = Buffer.concat([Buffer.from(received + signatures), complete.raw])
      const copy = local.size > 0 ? Buffer.concat([Buffer.from(returnPathField(reversePath)), raw]) : raw
      const items = [...local].map((accountId) => ({
        accountId,
        mailboxes: [{ role: 'inbox' } as const],
        keywords: [],
        receivedAt: at,
        raw: copy,
      }))

      let queueId: string | undefined
      let enqueue: ((tx: Transaction) => Promise<void>) | undefined
      if (foreign.length > 0) {
        const stored = await placeRaw(deps.blobs, raw)
        const { envelopeId, ret } = submission
        const item = {
          reversePath,
          recipients: foreign,
          raw,
          accountId: account.id,
          ...(envelopeId === undefined ? {} : { envelopeId }),
          ...(ret === undefined ? {} : { ret }),
        }
        const expiresAt = new Date(+at + config.outbound.expireMs)
        enqueue = async (tx) => {
          queueId = await insertMessage(tx, item, stored, { now: at, expiresAt })
        }
      }
      if (items.length > 0)
        await mailstore.ingest(items, {
          ...(enqueue ? { alongside: enqueue } : {}),
          ...(deliveryKey === undefined ? {} : { deliveryKey }),
        })
      else if (enqueue) await db.transaction(enqueue)
      metrics.sent.inc({ result: 'local' }, items.length)
      const facts = { accountId: account.id, id, queueId, reversePath, sizeBytes: raw.length }
      logger.info(
        { ...facts, local: items.length, foreign: foreign.length, signed: signatures !== '' },
        'submission accepted',
      )
      return { queueId }
    },
  }
}

/** An address twice is one recipient; the last one's wishes hold. */
function uniqueRecipients(given: QueueRecipient[]): QueueRecipient[] {
  const recipients = given.map((recipient) => ({ ...recipient, address: withALabels(recipient.address) }))
  return [...new Map(recipients.map((recipient) => [recipient.address.toLowerCase(), recipient])).values()]
}

async function checkEnvelope(
  { accounts, config }: SubmitterDeps,
  { account, reversePath, raw }: Submission,
  recipients: QueueRecipient[],
): Promise<void> {
  if (account.disabled) throw new SubmissionRefused({ code: 550, enhanced: '5.7.1' }, 'This account is disabled')
  if (reversePath !== '' && !(await accounts.maySendAs(account, withALabels(reversePath))))
    throw new SubmissionRefused({ code: 553, enhanced: '5.7.1' }, 'This address is not yours to send from')
  if (recipients.length === 0) throw new SubmissionRefused({ code: 554, enhanced: '5.5.1' }, 'No valid recipients')
  if (recipients.length > config.limits.recipientsPerMessage)
    throw new SubmissionRefused({ code: 452, enhanced: '4.5.3' }, 'Too many recipients')
  if (raw.length > config.limits.messageBytes)
    throw new SubmissionRefused({ code: 552, enhanced: '5.3.4' }, 'Message is too large')
}

/** RFC 6409 §6.1: the people it says it is from are the account's own addresses. */
async function checkFrom(accounts: Accounts, account: Account, from: string[]): Promise<void> {
  for (const address of from)
    if (!(await accounts.maySendAs(account, withALabels(address))))
      throw new SubmissionRefused({ code: 550, enhanced: '5.7.1' }, `From: ${address} is not yours to send from`)
}

/** @returns ids of our accounts, each once, and the recipients elsewhere */
async function splitRecipients(accounts: Accounts, recipients: QueueRecipient[]) {
  const local = new Set<string>()
  const foreign: QueueRecipient[] = []
  const unknown: string[] = []
  for (const recipient of recipients) {
    const resolution = await accounts.resolve(recipient.address)
    if (resolution.kind === 'foreign' && recipient.address.includes('@')) foreign.push(recipient)
    else if (resolution.kind === 'local') local.add(resolution.account.id)
    else unknown.push(recipient.address)
  }
  if (unknown.length > 0)
    throw new SubmissionRefused(
      { code: 550, enhanced: '5.1.1' },
      `No such mailbox here: ${unknown.join(', ')}`,
      unknown,
    )
  return { local, foreign }
}

async function checkRate({ config, rateCounter }: SubmitterDeps, account: Account, recipients: number): Promise<void> {
  const limit = config.spam.rateLimit.recipientsPerAccountPerHour
  if (limit === 0) return
  const sent = await rateCounter.add(`submit ${account.id}`, recipients, HOUR_MS)
  if (sent > limit)
    throw new SubmissionRefused({ code: 451, enhanced: '4.7.1' }, 'Too many recipients this hour, try again later')
}
