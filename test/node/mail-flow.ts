/** Senders that behave like other people's mail servers, and what then lies in a mailbox. */

import { randomUUID } from 'node:crypto'
import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'

export interface MailFlow {
  /** Message-IDs that got their 250. */
  readonly acknowledged: readonly string[]
  /** Tries that did not, with the reason: refused connections, 421, 451. */
  readonly refused: readonly string[]
  /** Lets the senders finish what they are sending. */
  stop(): Promise<void>
}

/**
 * Sends messages, one connection each, until stopped. A message that is not acknowledged is not counted and is followed
 * by another: whether it arrived after all is for the sender to ask again, and each try has a Message-ID of its own.
 */
export function startMailFlow(host: string, recipient: string, senders: number): MailFlow {
  const acknowledged: string[] = []
  const refused: string[] = []
  let stopping = false

  async function sendOn(sender: number): Promise<void> {
    while (!stopping) {
      const messageId = `<${randomUUID()}@sender.test>`
      const transport = createTransport({
        host,
        port: 25,
        tls: { rejectUnauthorized: false }, // as between mail servers without MTA-STS or DANE
        connectionTimeout: 5_000,
        greetingTimeout: 10_000,
        socketTimeout: 30_000,
      })
      try {
        await transport.sendMail({
          from: `sender${sender}@sender.test`,
          to: recipient,
          messageId,
          subject: `Message ${acknowledged.length} of sender ${sender}`,
          text: `${'Lorem ipsum dolor sit amet. '.repeat(100)}\n`,
        })
        acknowledged.push(messageId)
      } catch (error) {
        refused.push(error instanceof Error ? error.message : String(error))
        await new Promise((resolve) => setTimeout(resolve, 200))
      } finally {
        transport.close()
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const running = Array.from({ length: senders }, (_, sender) => sendOn(sender))
  return {
    acknowledged,
    refused,
    async stop() {
      stopping = true
      await Promise.all(running)
    },
  }
}

export interface MailboxAccess {
  host: string
  user: string
  password: string
  /** The CA that signs the server's certificate; its name is checked too. */
  ca: string
  servername: string
}

/** Message-ID → how many times it is in INBOX and Junk. */
export async function messagesOf(access: MailboxAccess): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  const client = new ImapFlow({
    host: access.host,
    port: 993,
    secure: true,
    servername: access.servername,
    tls: { ca: access.ca },
    auth: { user: access.user, pass: access.password },
    logger: false,
  })
  await client.connect()
  try {
    for (const mailbox of ['INBOX', 'Junk']) {
      const { exists } = await client.mailboxOpen(mailbox, { readOnly: true })
      if (exists === 0) continue
      for await (const message of client.fetch('1:*', { envelope: true })) {
        const id = message.envelope?.messageId ?? ''
        found.set(id, (found.get(id) ?? 0) + 1)
      }
    }
  } finally {
    await client.logout()
  }
  return found
}
