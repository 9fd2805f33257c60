/** Sends many messages over a few SMTP connections, as a relaying MTA does: one connection kept, commands pipelined. */
import { connect } from 'node:net'
import type { Endpoint } from './endpoints.ts'

export interface Load {
  to: Endpoint
  connections: number
  /** Whole messages sent, over all connections. */
  messages: number
  /** Bytes of each message, headers included. */
  sizeBytes: number
  recipients: string[]
  /** Makes Message-IDs unique between runs. */
  run: string
}

/** A text message of exactly `sizeBytes` bytes. */
export function message(load: Pick<Load, 'run' | 'sizeBytes'>, index: number, recipient: string): string {
  const header =
    `From: Bench Sender <sender@example.net>\r\nTo: <${recipient}>\r\nSubject: Message ${index} of run ${load.run}\r\n` +
    `Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${load.run}.${index}@bench.example.net>\r\n` +
    'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
  const line = 'The quick brown fox jumps over the lazy dog, again and again, until ten kB are full.\r\n'
  const body = line.repeat(Math.ceil(load.sizeBytes / line.length))
  return `${(header + body).slice(0, load.sizeBytes - 2)}\r\n`
}

/**
 * Sends until all messages have their 250.
 * @throws Error with the reply when a message is refused, or the connection ends early
 */
export async function sendLoad(load: Load): Promise<void> {
  let next = 0
  const take = () => (next < load.messages ? next++ : undefined)
  await Promise.all(Array.from({ length: load.connections }, () => sendOverOne(load, take)))
}

function sendOverOne(load: Load, take: () => number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(load.to.port, load.to.host)
    socket.setNoDelay(true)
    socket.setTimeout(120_000, () => socket.destroy(new Error('no reply within 120 s')))
    let buffered = ''
    let body = ''
    /** Reply codes that are still to come, in order; the last decides what happens next. */
    let awaited: number[] = [220]
    let after: () => void = () => say('EHLO bench.example.net\r\n', [250], envelope)
    const say = (text: string, codes: number[], then: () => void) => {
      awaited = codes
      after = then
      socket.write(text)
    }
    const envelope = () => {
      const index = take()
      if (index === undefined) return say('QUIT\r\n', [221], () => socket.end(() => resolve()))
      const recipient = load.recipients[index % load.recipients.length] ?? ''
      body = message(load, index, recipient)
      say(`MAIL FROM:<sender@example.net>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`, [250, 250, 354], () =>
        say(`${body}.\r\n`, [250], envelope),
      )
    }
    socket.on('data', (chunk) => {
      buffered += chunk.toString('latin1')
      for (;;) {
        const end = buffered.indexOf('\r\n')
        if (end < 0) return
        const line = buffered.slice(0, end)
        buffered = buffered.slice(end + 2)
        if (line[3] === '-') continue
        const want = awaited.shift()
        if (Number(line.slice(0, 3)) !== want) return socket.destroy(new Error(`SMTP: wanted ${want}, got ${line}`))
        if (awaited.length === 0) after()
      }
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('SMTP: connection closed early')))
  })
}
