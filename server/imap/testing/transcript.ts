/** Tests that read like the protocol: a client's lines (C:) and the answers wanted (S:), where "..." stands for anything. */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { Account } from '../../accounts/accounts.ts'
import { PASSWORD, type TestEngine } from './engine.ts'

/** Long enough for a machine that has much else to do. */
const WAIT_MS = 60_000

/** One client's end of a session. */
export class TestClient {
  readonly #stream: Duplex
  #lines: string[] = []
  #rest = ''
  #ended = false
  #wake: (() => void) | undefined

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\r\n')
      this.#rest = lines.pop() ?? ''
      this.#lines.push(...lines)
      this.#wake?.()
    })
    stream.on('close', () => {
      this.#ended = true
      this.#wake?.()
    })
    stream.on('end', () => {
      this.#ended = true
      this.#wake?.()
    })
  }

  write(text: string): void {
    this.#stream.write(text)
  }

  /** The next line; undefined when the server has closed. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.shift()
      if (line !== undefined) return line
      if (this.#ended) return undefined
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer = setTimeout(() => reject(new Error('the server said nothing more')), WAIT_MS)
      await promise.finally(() => clearTimeout(timer))
    }
  }

  /** Sends a command and reads up to its completion, which is the last line. */
  async command(tag: string, text: string): Promise<string[]> {
    this.write(`${tag} ${text}\r\n`)
    const lines: string[] = []
    for (;;) {
      const line = await this.line()
      if (line === undefined) return lines
      lines.push(line)
      if (line.startsWith(`${tag} `)) return lines
    }
  }

  /** Plays "C:" lines and compares what comes with the "S:" lines; "S: (closed)" is the end of the connection. */
  async play(transcript: string): Promise<void> {
    for (const step of transcript.split('\n').map((line) => line.trimStart())) {
      if (step === '') continue
      const text = step.slice(3)
      if (step.startsWith('C:')) this.write(`${text}\r\n`)
      else if (step.startsWith('S:')) assertLine((await this.line()) ?? '(closed)', text, transcript)
      else throw new Error(`transcript: ${step}`)
    }
  }
}

/** A session of this account, already logged in. */
export async function logIn(engine: TestEngine, account: Account): Promise<TestClient> {
  const client = new TestClient(engine.connect().client)
  await client.line()
  const [completion] = await client.command('L', `LOGIN ${account.address} "${PASSWORD}"`)
  assert.match(completion ?? '', /^L OK /)
  return client
}

/** Plays a transcript of a logged-in session. */
export async function imapTranscript(engine: TestEngine, account: Account, transcript: string): Promise<void> {
  await (await logIn(engine, account)).play(transcript)
}

function assertLine(actual: string, wanted: string, transcript: string): void {
  const pattern = wanted.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  if (new RegExp(`^${pattern.join('[^]*')}$`).test(actual)) return
  assert.fail(`wanted  S: ${wanted}\ngot     S: ${actual}\nin\n${transcript}`)
}
