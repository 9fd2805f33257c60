/** Senders that behave like other people's mail servers, and what then lies in a mailbox. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type FetchMessageObject, ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'
import { eventually } from './eventually.ts'

export interface Refusal {
  /** Of an SMTP reply; undefined where there was none. */
  reply: number | undefined
  /** "451 4.3.0 …", "ECONNREFUSED". */
  reason: string
}

/** Ends with its scope; a test that got so far says `stop`. */
export interface MailFlow extends AsyncDisposable {
  /** Message-IDs that got their 250. */
  readonly acknowledged: readonly string[]
  /** Tries that did not. */
  readonly refused: readonly Refusal[]
  /** Waits until so many more are acknowledged. */
  more(count: number): Promise<void>
  /** Lets the senders finish what they are sending; tells the figures, and that no refusal was for good. */
  stop(): Promise<void>
}

/**
 * Sends messages, one connection each, until stopped. A message that is not acknowledged is not counted and is followed
 * by another: whether it arrived after all is for the sender to ask again, and each try has a Message-ID of its own.
 */
export function startMailFlow(host: string, recipient: string, senders: number): MailFlow {
  const acknowledged: string[] = []
  const refused: Refusal[] = []
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
        refused.push(refusalOf(error))
        await new Promise((resolve) => setTimeout(resolve, 200))
      } finally {
        transport.close()
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const running = Array.from({ length: senders }, (_, sender) => sendOn(sender))
  const end = async () => {
    stopping = true
    await Promise.all(running)
  }
  return {
    acknowledged,
    refused,
    [Symbol.asyncDispose]: end,
    async more(count) {
      const goal = acknowledged.length + count
      await eventually(`${count} more messages to be taken`, async () => acknowledged.length >= goal)
    },
    async stop() {
      await end()
      console.log(`acknowledged ${acknowledged.length}; refused ${tally(refused.map(({ reason }) => reason))}`)
      // RFC 5321 §4.2.1: after a 5yz the sender gives the message up.
      assert.deepEqual(
        refused.filter(({ reply }) => reply !== undefined && Math.floor(reply / 100) !== 4),
        [],
      )
    },
  }
}

/** "3: 2 × one | 1 × other". */
function tally(reasons: readonly string[]): string {
  const counts = [...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]) => `${all.length} × ${reason}`)
  return counts.length === 0 ? '0' : `${reasons.length}: ${counts.join(' | ')}`
}

function refusalOf(error: unknown): Refusal {
  const { responseCode, response, code, message } = error as Error & {
    responseCode?: number
    response?: string
    code?: string
  }
  return { reply: responseCode, reason: response ?? `${code ?? ''} ${message.replace(/[\d.]+:\d+/g, 'host')}` }
}

export interface MailboxAccess {
  host: string
  user: string
  password: string
  /** The CA that signs the server's certificate; its name is checked too. */
  ca: string
  servername: string
}

/** A logged-in IMAP session that ends with the scope. */
export async function openMailbox(access: MailboxAccess): Promise<ImapFlow & AsyncDisposable> {
  const client = new ImapFlow({
    host: access.host,
    port: 993,
    secure: true,
    servername: access.servername,
    tls: { ca: access.ca },
    auth: { user: access.user, pass: access.password },
    connectionTimeout: 5_000,
    logger: false,
  })
  client.on('error', () => {}) // a closed connection rejects what waits for it
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.logout().catch(() => {}) })
}

/** Somebody who logs in by IMAP again and again, until the scope ends. */
export function startLogins(access: MailboxAccess): { figures(): string } & AsyncDisposable {
  const refused: string[] = []
  let done = 0
  let stopping = false
  const running = (async () => {
    while (!stopping) {
      try {
        await using _ = await openMailbox(access)
        done++
      } catch (error) {
        const { responseText, message } = error as Error & { responseText?: string }
        refused.push(responseText ?? message)
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  return {
    figures: () => `logins ${done}; refused ${tally(refused)}`,
    async [Symbol.asyncDispose]() {
      stopping = true
      await running
    },
  }
}

/** Message-ID → how many times it is in INBOX and Junk. */
export async function messagesOf(access: MailboxAccess): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  await using client = await openMailbox(access)
  for (const mailbox of ['INBOX', 'Junk']) {
    const { exists } = await client.mailboxOpen(mailbox, { readOnly: true })
    if (exists === 0) continue
    for await (const message of client.fetch('1:*', { envelope: true })) {
      const id = message.envelope?.messageId ?? ''
      found.set(id, (found.get(id) ?? 0) + 1)
    }
  }
  return found
}

/** One message by its Message-ID, wherever it was filed. */
export async function messageOf(access: MailboxAccess, messageId: string): Promise<FetchMessageObject | undefined> {
  await using client = await openMailbox(access)
  for (const mailbox of ['INBOX', 'Junk']) {
    await client.mailboxOpen(mailbox, { readOnly: true })
    const [uid] = (await client.search({ header: { 'message-id': messageId } }, { uid: true })) || []
    if (uid === undefined) continue
    return (await client.fetchOne(`${uid}`, { source: true }, { uid: true })) || undefined
  }
  return undefined
}
