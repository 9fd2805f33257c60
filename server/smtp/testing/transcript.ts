/**
 * Plays a written SMTP dialogue against a listener, for tests:
 *
 *   S: 220 mx.example.org ESMTP        the server says exactly this line
 *   S: 250-mx.example.org ...          ... at the end: anything more, to the end of this reply
 *   C: MAIL FROM:<a@b.example>         the client sends this line
 *   TLS                                the client starts TLS now
 *   S: (closed)                        the server closes the connection
 */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Long enough for a machine that has much else to do. */
const WAIT_MS = 60_000

export async function playTranscript(port: number, transcript: string): Promise<void> {
  const lines = transcript.split('\n').map((line) => line.replace(/^\s+/, ''))
  const client = await SmtpClient.connect(port)
  try {
    for (const line of lines) {
      if (line === '') continue
      if (line === 'TLS') await client.startTls()
      else if (line.startsWith('C:')) client.send(`${line.slice(3)}\r\n`)
      else if (line === 'S: (closed)') await client.closed()
      else if (line.startsWith('S:')) await expectLine(client, line.slice(3))
      else throw new Error(`neither C: nor S: in ${line}`)
    }
  } finally {
    client.destroy()
  }
}

async function expectLine(client: SmtpClient, expected: string): Promise<void> {
  const line = await client.line()
  if (!expected.endsWith('...')) return assert.equal(line, expected)
  const start = expected.slice(0, -3)
  assert.ok(line.startsWith(start), `expected ${JSON.stringify(start)}..., got ${JSON.stringify(line)}`)
  for (let last = line; last[3] === '-'; ) last = await client.line()
}

/** A bare SMTP client that reads lines and sends bytes as they are. */
export class SmtpClient {
  #socket: Socket
  #lines: string[] = []
  #rest = ''
  #ended = false
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.#attach()
  }

  static async connect(port: number): Promise<SmtpClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const client = new SmtpClient(socket)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return client
  }

  #attach(): void {
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\r\n')
      this.#rest = lines.pop() ?? ''
      this.#lines.push(...lines)
      this.#wake()
    })
    this.#socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
    this.#socket.on('error', () => undefined)
  }

  async line(): Promise<string> {
    const deadline = Date.now() + WAIT_MS
    while (this.#lines.length === 0) {
      if (this.#ended) throw new Error('the server closed the connection')
      if (Date.now() >= deadline) throw new Error('no reply in time')
      await this.#change()
    }
    return this.#lines.shift() ?? ''
  }

  /** A whole reply, its lines joined by a line feed. */
  async reply(): Promise<string> {
    const lines = [await this.line()]
    while (lines.at(-1)?.[3] === '-') lines.push(await this.line())
    return lines.join('\n')
  }

  /** Sends a command and waits for its reply. */
  async command(line: string): Promise<string> {
    this.send(`${line}\r\n`)
    return this.reply()
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  async closed(): Promise<void> {
    const deadline = Date.now() + WAIT_MS
    while (!this.#ended) {
      assert.deepEqual(this.#lines, [], 'lines after the last expected one')
      if (Date.now() >= deadline) throw new Error('the server did not close the connection')
      await this.#change()
    }
  }

  async startTls(): Promise<void> {
    this.#socket.removeAllListeners('data')
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false })
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    this.#socket = socket
    this.#attach()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  async #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = setTimeout(resolve, 250)
    await promise
    clearTimeout(timer)
  }
}
