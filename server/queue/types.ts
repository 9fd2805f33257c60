/** The outbound queue and submission as others see them: SMTP submission and JMAP EmailSubmission hand mail in here. */
import type { Account } from '../accounts/accounts.ts'
import type { Transaction } from '../db/database.ts'

/** DSN parameters of a recipient (RFC 3461 §4.1, §4.2). */
export interface QueueRecipient {
  address: string
  notify?: ('never' | 'success' | 'failure' | 'delay')[]
  orcpt?: string
}

export interface QueueItem {
  /** '' for the null reverse-path. */
  reversePath: string
  recipients: QueueRecipient[]
  /** As it goes out: headers added, DKIM-signed. */
  raw: Buffer
  /** RFC 3461 ENVID, RET. */
  envelopeId?: string
  ret?: 'full' | 'hdrs'
  accountId?: string
}

export interface Queue extends AsyncDisposable {
  /** Writes the rows inside the caller's transaction; the worker wakes after its commit. @returns the queue id */
  insert(tx: Transaction, item: QueueItem): Promise<string>
  /** Due and waiting recipients, of all replicas. */
  size(): Promise<number>
}

/** A message an authenticated account hands in (RFC 6409). */
export interface Submission {
  account: Account
  reversePath: string
  recipients: QueueRecipient[]
  raw: Buffer
  envelopeId?: string
  ret?: 'full' | 'hdrs'
  /** For the Received field. */
  client: { address: string; helo: string; protocol: string }
  deliveryKey?: string
}

/** Completes, signs and takes over a submission: local recipients are stored and foreign ones queued in one transaction. */
export interface Submitter {
  /** Durable when it returns. @throws SubmissionRefused, Unavailable */
  submit(submission: Submission): Promise<{ queueId: string | undefined }>
}

/** Refused for good or for now, in SMTP's terms; JMAP maps it to forbiddenFrom, noRecipients, invalidRecipients, tooLarge. */
export class SubmissionRefused extends Error {
  override name = 'SubmissionRefused'
  readonly reply: { code: number; enhanced: string }
  /** The recipients it is about; empty: the whole message. */
  readonly recipients: string[]
  constructor(reply: { code: number; enhanced: string }, text: string, recipients: string[] = []) {
    super(text)
    this.reply = reply
    this.recipients = recipients
  }
}
