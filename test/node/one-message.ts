/** One message, and from whom the server says that it came. */

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { eventually } from './eventually.ts'
import { type MailboxAccess, messageOf } from './mail-flow.ts'

export interface Way {
  host: string
  /** Default 25. */
  port?: number
  /** Sent before anything else: a PROXY protocol header. */
  opening?: string | Buffer
}

/** Sends as other people's mail servers do. @returns its Message-ID. @throws nodemailer's error with the reply */
export async function sendOne(
  { host, port = 25, opening }: Way,
  to: string,
  more: SendMailOptions = {},
): Promise<string> {
  const messageId = `<${randomUUID()}@sender.test>`
  const socket = await connected(host, port)
  if (opening !== undefined) socket.write(opening)
  const transport = createTransport({
    host,
    port,
    connection: socket,
    tls: { rejectUnauthorized: false },
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
  })
  try {
    await transport.sendMail({ from: 'someone@sender.test', to, messageId, subject: 'One', text: 'Hello.\n', ...more })
    return messageId
  } finally {
    transport.close()
    socket.destroy()
  }
}

const CONNECT_MS = 5_000

/**
 * A connection, which is the caller's to end. One to an address that is not served yet may hang for minutes and be of no use
 * when it is, because the node has decided where it leads: better a new one.
 */
export async function connected(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Address of the client in the topmost Received field (RFC 5321 §4.4) of a message that arrived. */
export async function receivedFrom(access: MailboxAccess, messageId: string): Promise<string> {
  const message = await eventually(`${messageId} to be in the mailbox`, () => messageOf(access, messageId))
  const header = message.source?.toString('latin1').replace(/\r\n[ \t]+/g, ' ') ?? ''
  const field = /^Received: (.*)$/im.exec(header)?.[1] ?? ''
  return /\(\[(?:IPv6:)?([^\]]+)\]\)/.exec(field)?.[1] ?? field
}

/** PROXY protocol, version 1 (§2.1): a line. */
export const proxyV1 = (client: string) => `PROXY TCP4 ${client} 192.0.2.1 40000 25\r\n`

/** Version 2 (§2.2): signature, command PROXY, TCP over IPv4, twelve bytes of addresses and ports. */
export function proxyV2(client: string): Buffer {
  const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
  const addresses = Buffer.from([...client.split('.').map(Number), 192, 0, 2, 1, 0x9c, 0x40, 0, 25])
  return Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, addresses.length]), addresses])
}
