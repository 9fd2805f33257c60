/** One mail transaction as the handlers of incoming mail and of submissions see it: plain values, no smtp-server. */
import { createHash } from 'node:crypto'
import type { Account } from '../accounts/accounts.ts'
import type { QueueRecipient } from '../queue/types.ts'

export interface Client {
  /** After the PROXY protocol. */
  address: string
  helo: string
  /** RFC 3848: ESMTP, ESMTPS, ESMTPSA, ... */
  protocol: string
  tls: { version: string; cipher: string } | undefined
  /** Set after AUTH. */
  account: Account | undefined
}

export interface Envelope {
  /** '' for the null reverse-path. */
  reversePath: string
  /** SIZE of MAIL (RFC 1870), 0 when not given. */
  declaredBytes: number
  envelopeId: string | undefined
  ret: 'full' | 'hdrs' | undefined
}

/** A recipient that RCPT accepted. */
export interface Recipient extends QueueRecipient {
  /** Where it is delivered, when it is ours. */
  accountId?: string
}

export interface Transaction extends Envelope {
  /** Names it in the log and in Received. */
  id: string
  client: Client
  recipients: Recipient[]
  /** The message as received, dot-stuffing undone. */
  chunks: Buffer[]
}

export interface Acceptance {
  /** After "250 2.6.0 ". */
  text: string
  action: 'accept' | 'junk'
  /** Log fields. */
  facts: Record<string, unknown>
  /** To be confirmed when the client goes on. */
  deliveryKey: string | undefined
}

/** What a listener does with mail: one for port 25, one for the submission ports. Both throw refusals (refusal.ts). */
export interface TransactionHandler {
  mail(client: Client, envelope: Envelope): Promise<void>
  /**
   * @param earlier recipients of this transaction so far
   * @returns the account that the address leads to; undefined when it is not ours
   */
  recipient(client: Client, envelope: Envelope, address: string, earlier: number): Promise<string | undefined>
  message(transaction: Transaction): Promise<Acceptance>
}

/**
 * Names what a client wants delivered, so that it is the same when it comes again (see Mailstore.ingest). Without a
 * Message-ID two equal messages may well be two messages, so there is no key then.
 */
export function deliveryKeyOf(transaction: Transaction, hasMessageId: boolean): string | undefined {
  if (!hasMessageId) return undefined
  const hash = createHash('sha256')
  hash.update(`${transaction.reversePath}\0${transaction.recipients.map((r) => r.address).join('\0')}\0\0`)
  for (const chunk of transaction.chunks) hash.update(chunk)
  return hash.digest('hex')
}
