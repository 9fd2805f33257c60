/** Ports 465 and 587: mail of our accounts to anybody (RFC 6409). The submitter completes, signs and queues it. */
import type { Accounts } from '../accounts/accounts.ts'
import type { EngineConfig } from '../config.ts'
import type { Submitter } from '../queue/types.ts'
import { inspectHeader, withCrlf } from './header-block.ts'
import { SmtpRefusal } from './refusal.ts'
import { type Client, deliveryKeyOf, type TransactionHandler } from './transaction.ts'

export interface SubmittingDeps {
  config: EngineConfig
  accounts: Accounts
  submitter: Submitter
}

export function submittedMail({ config, accounts, submitter }: SubmittingDeps): TransactionHandler {
  return {
    async mail(client, envelope) {
      const { id } = authenticated(client)
      // a session may be older than what has become of its account
      const account = await accounts.findById(id)
      if (!account || account.disabled)
        throw new SmtpRefusal({ code: 550, enhanced: '5.7.1' }, 'This account is disabled')
      // RFC 6409 §6.1; the null reverse-path is for notifications such as read receipts
      if (envelope.reversePath === '' || (await accounts.maySendAs(account, envelope.reversePath))) return
      throw new SmtpRefusal({ code: 553, enhanced: '5.7.1' }, 'This address is not yours to send from')
    },

    async recipient(client, _envelope, address) {
      authenticated(client)
      if (!address.includes('@')) return undefined // "postmaster" alone is this server's
      const resolution = await accounts.resolve(address)
      if (resolution.kind === 'unknown') throw new SmtpRefusal({ code: 550, enhanced: '5.1.1' }, 'No such mailbox here')
      return undefined // the submitter finds out where each goes
    },

    async message(transaction) {
      const account = authenticated(transaction.client)
      const message = withCrlf(Buffer.concat(transaction.chunks))
      const header = inspectHeader(message)
      if (header.hops > config.limits.receivedHops)
        throw new SmtpRefusal({ code: 554, enhanced: '5.4.6' }, 'Too many hops, this is a mail loop')
      if (header.length > config.limits.headerBytes)
        throw new SmtpRefusal({ code: 552, enhanced: '5.3.4' }, 'Header is too large')
      const deliveryKey = deliveryKeyOf(transaction, header.hasMessageId)
      const { address, helo, protocol } = transaction.client
      const domain = config.domains[0]?.name ?? config.hostname
      const { queueId } = await submitter.submit({
        account,
        reversePath: transaction.reversePath,
        recipients: transaction.recipients.map(({ accountId: _, ...recipient }) => ({
          ...recipient,
          address: recipient.address.includes('@') ? recipient.address : `${recipient.address}@${domain}`,
        })),
        raw: message,
        client: { address, helo, protocol },
        ...(transaction.envelopeId === undefined ? {} : { envelopeId: transaction.envelopeId }),
        ...(transaction.ret === undefined ? {} : { ret: transaction.ret }),
        ...(deliveryKey === undefined ? {} : { deliveryKey }),
      })
      const facts = { accountId: account.id, queueId, sizeBytes: message.length }
      return { text: `Accepted, id ${queueId ?? transaction.id}`, action: 'accept', facts, deliveryKey }
    },
  }
}

function authenticated(client: Client) {
  if (client.account) return client.account
  const text = client.tls ? 'Authentication required' : 'Must issue a STARTTLS command first'
  throw new SmtpRefusal({ code: 530, enhanced: '5.7.0' }, text)
}
