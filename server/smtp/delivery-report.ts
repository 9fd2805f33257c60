/** NOTIFY=SUCCESS for mail that ends here (RFC 3461 §5.2.1): the confirmation is committed together with the mail. */

import type { Accounts } from '../accounts/accounts.ts'
import type { Transaction as DatabaseTransaction } from '../db/database.ts'
import type { IngestItem } from '../mailstore/types.ts'
import { buildDsn } from '../queue/dsn.ts'
import { ownReply } from '../queue/reply.ts'
import { returnPathField } from '../queue/trace.ts'
import type { Queue } from '../queue/types.ts'
import type { Transaction } from './transaction.ts'

export interface DeliveryReport {
  /** For a sender who is ours. */
  items: IngestItem[]
  /** For a sender elsewhere. */
  alongside: ((tx: DatabaseTransaction) => Promise<void>) | undefined
}

/** @returns undefined when nobody asked, or there is nobody to tell */
export async function deliveryReport(
  deps: { accounts: Accounts; queue: Queue; hostname: string },
  transaction: Transaction,
  { raw, receivedAt }: { raw: Buffer; receivedAt: Date },
): Promise<DeliveryReport | undefined> {
  const { reversePath, envelopeId, ret } = transaction
  const asked = transaction.recipients.filter((recipient) => recipient.notify?.includes('success'))
  if (asked.length === 0 || reversePath === '') return undefined
  const sender = await deps.accounts.resolve(reversePath)
  if (sender.kind === 'unknown') return undefined
  const report = buildDsn({
    action: 'delivered',
    hostname: deps.hostname,
    to: reversePath,
    envelopeId,
    arrivedAt: receivedAt,
    recipients: asked.map(({ address, orcpt }) => ({
      address,
      orcpt,
      reply: ownReply('2.1.5', 'Delivered'),
      remoteHost: undefined,
    })),
    retryUntil: undefined,
    original: raw,
    ret,
    now: receivedAt,
    id: `${transaction.id}.delivered`,
  })
  if (sender.kind === 'foreign') {
    const item = { reversePath: '', recipients: [{ address: reversePath }], raw: report }
    return { items: [], alongside: async (tx) => void (await deps.queue.insert(tx, item)) }
  }
  const copy = Buffer.concat([Buffer.from(returnPathField('')), report])
  const item: IngestItem = {
    accountId: sender.account.id,
    mailboxes: [{ role: 'inbox' }],
    keywords: [],
    receivedAt,
    raw: copy,
  }
  return { items: [item], alongside: undefined }
}
