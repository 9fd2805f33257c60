/** Port 25: mail from strangers for accounts of ours. Who may be written to, what is added, when it is accepted. */
import type { Account, Accounts } from '../accounts/accounts.ts'
import type { EngineConfig } from '../config.ts'
import { type Mailstore, OverQuota } from '../mailstore/types.ts'
import { receivedField, returnPathField } from '../queue/trace.ts'
import type { Queue } from '../queue/types.ts'
import type { SenderAuth } from '../senderauth/types.ts'
import type { SpamJudge, Verdict } from '../spam/types.ts'
import { deliveryReport } from './delivery-report.ts'
import { forgedTraceFields, inspectHeader, mayHaveForgedFields, withCrlf, withoutFields } from './header-block.ts'
import type { SmtpMetrics } from './metrics.ts'
import { SmtpRefusal } from './refusal.ts'
import { type Acceptance, deliveryKeyOf, type Transaction, type TransactionHandler } from './transaction.ts'

export interface IncomingDeps {
  config: EngineConfig
  accounts: Accounts
  mailstore: Mailstore
  /** For confirmations of delivery; without it they are not offered. */
  queue?: Queue
  judge: SpamJudge
  senderAuth: SenderAuth
  metrics: SmtpMetrics
  now: () => Date
}

export function incomingMail(deps: IncomingDeps): TransactionHandler {
  const { config, judge, metrics } = deps
  return {
    async mail() {
      // any reverse-path may write to us; what it is worth is judged with the message
    },

    async recipient(client, envelope, address, earlier) {
      const account = await recipientAccount(deps, address, envelope.declaredBytes)
      if (!judge.enabled()) return account.id
      const deferral = await judge.admit({
        clientAddress: client.address,
        helo: client.helo,
        reversePath: envelope.reversePath,
        recipient: address,
        firstRecipient: earlier === 0,
      })
      if (!deferral) return account.id
      metrics.spamBlocked.inc({ reason: deferral.reason })
      throw new SmtpRefusal({ code: 451, enhanced: '4.7.1' }, deferral.text)
    },

    async message(transaction) {
      const receivedAt = deps.now()
      const received = transaction.chunks.length === 1 ? transaction.chunks[0] : undefined
      const message = withCrlf(received ?? Buffer.concat(transaction.chunks))
      const header = inspectHeader(message)
      // RFC 5321 §6.3: a mail loop shows in its Received fields
      if (header.hops > config.limits.receivedHops)
        throw new SmtpRefusal({ code: 554, enhanced: '5.4.6' }, 'Too many hops, this is a mail loop')
      if (header.length > config.limits.headerBytes)
        throw new SmtpRefusal({ code: 552, enhanced: '5.3.4' }, 'Header is too large')

      let authentication = ''
      let verdict: Verdict = { score: 0, tests: [], action: 'accept', header: '' }
      if (judge.enabled()) {
        const { client, reversePath } = transaction
        const facts = { raw: message, clientAddress: client.address, helo: client.helo, reversePath }
        const senderAuth = await deps.senderAuth.verify(facts)
        authentication = senderAuth.header
        const recipients = transaction.recipients.map((recipient) => recipient.address)
        verdict = await judge.judge({ ...facts, recipients, receivedAt, tls: client.tls !== undefined, senderAuth })
        if (verdict.action === 'reject') {
          const reason = verdict.reason ?? 'score'
          metrics.spamBlocked.inc({ reason })
          const text = reason === 'dmarc' ? 'Refused by the DMARC policy of the From domain' : 'Message refused as spam'
          throw new SmtpRefusal({ code: 550, enhanced: '5.7.1' }, text, { facts: verdictFacts(verdict) })
        }
      }

      const trace =
        returnPathField(transaction.reversePath) +
        receivedField({
          clientAddress: transaction.client.address,
          helo: transaction.client.helo,
          hostname: config.hostname,
          protocol: transaction.client.protocol,
          id: transaction.id,
          tls: transaction.client.tls,
          recipient: transaction.recipients.length === 1 ? transaction.recipients[0]?.address : undefined,
          at: receivedAt,
        }) +
        authentication +
        verdict.header
      const raw = withTrace(trace, message, header.length, config.hostname)
      const deliveryKey = deliveryKeyOf(transaction, header.hasMessageId)
      return deliver(deps, transaction, { raw, receivedAt, verdict, deliveryKey })
    },
  }
}

/** Our fields on top, those that only we may write taken out of what came. One copy of the message. */
function withTrace(trace: string, message: Buffer, headerLength: number, hostname: string): Buffer {
  const top = Buffer.from(trace)
  if (!mayHaveForgedFields(message.toString('latin1', 0, headerLength))) return Buffer.concat([top, message])
  const header = withoutFields(message.subarray(0, headerLength), forgedTraceFields(hostname))
  return Buffer.concat([top, header, message.subarray(headerLength)])
}

/**
 * The account that a forward-path leads to.
 * @throws SmtpRefusal 550 5.1.1 nobody there, 550 5.7.1 not ours, 552 5.2.2 full
 */
async function recipientAccount(deps: IncomingDeps, address: string, declaredBytes: number): Promise<Account> {
  const { accounts, config } = deps
  // RFC 5321 §4.5.1: "postmaster" without a domain is ours
  const full = address.includes('@') ? address : `${address}@${config.domains[0]?.name ?? config.hostname}`
  const resolution = await accounts.resolve(full)
  if (resolution.kind === 'foreign')
    throw new SmtpRefusal({ code: 550, enhanced: '5.7.1' }, 'Relaying denied, authenticate on the submission port')
  if (resolution.kind === 'unknown') throw new SmtpRefusal({ code: 550, enhanced: '5.1.1' }, 'No such mailbox here')
  const { account } = resolution
  if (account.quotaBytes !== undefined && account.usedBytes + declaredBytes > account.quotaBytes)
    throw new SmtpRefusal({ code: 552, enhanced: '5.2.2' }, 'Mailbox is full')
  return account
}

/** For the log. */
function verdictFacts({ score, tests }: Verdict): Record<string, unknown> {
  return tests.length === 0 ? {} : { score, tests: tests.map((test) => test.name) }
}

/** Stores one copy per account. The 250 may be said once this has resolved (design decision 3). */
async function deliver(
  deps: IncomingDeps,
  transaction: Transaction,
  message: { raw: Buffer; receivedAt: Date; verdict: Verdict; deliveryKey: string | undefined },
): Promise<Acceptance> {
  const { raw, receivedAt, verdict, deliveryKey } = message
  // two addresses of one account: one copy
  const accountIds = new Set(transaction.recipients.flatMap(({ accountId }) => accountId ?? []))
  const role = verdict.action === 'junk' ? 'junk' : 'inbox'
  const items = [...accountIds].map((accountId) => ({
    accountId,
    mailboxes: [{ role } as const],
    keywords: role === 'junk' ? ['$junk'] : [],
    receivedAt,
    raw,
  }))
  const { accounts, config, queue } = deps
  const report = queue && (await deliveryReport({ accounts, queue, hostname: config.hostname }, transaction, message))
  const stored = await deps.mailstore
    .ingest([...items, ...(report?.items ?? [])], {
      ...(deliveryKey === undefined ? {} : { deliveryKey }),
      ...(report?.alongside ? { alongside: report.alongside } : {}),
    })
    .catch((error: unknown) => {
      // One reply is for all of them, and the others shall get it: when it comes again, RCPT refuses the full one by SIZE=
      if (error instanceof OverQuota && items.length > 1)
        throw new SmtpRefusal({ code: 452, enhanced: '4.2.2' }, 'A mailbox is full, try again', { cause: error })
      throw error
    })
  const emailIds = stored.slice(0, items.length).map((email) => email.emailId)
  const facts = { emailIds, sizeBytes: raw.length, ...verdictFacts(verdict) }
  const action = role === 'junk' ? 'junk' : 'accept'
  return { text: `Accepted, id ${transaction.id}`, action, facts, deliveryKey }
}
