/**
 * Commands from a stream of bytes: lines, and the literals that end them (RFC 9051 §4.3, LITERAL+ RFC 7888, literal8
 * RFC 3516 §4.5). Every length is bounded before a byte of it is kept.
 */

export interface Literal {
  bytes: Buffer
  /** ~{n}: may hold NUL. */
  binary: boolean
}

/** A command as read: text and literals by turns, beginning and ending with text. Text is latin1, one char per byte. */
export type Pieces = (string | Literal)[]

export interface CommandLimits {
  /** All text of one command, without its literals. */
  lineBytes: number
  /** One literal. `start` is the text of the command up to its first literal. */
  literalBytes: (start: string) => number
  /** All literals of one command together. */
  totalLiteralBytes: (start: string) => number
}

export type ReadCommand =
  | { kind: 'command'; pieces: Pieces }
  /** A literal passed its limit; the client has been kept from sending it, or it was thrown away. */
  | { kind: 'literalTooBig'; start: string }
  /** Nothing sensible can be read any more: say why and close. */
  | { kind: 'fatal'; reason: string }
  | { kind: 'end' }

const MAX_LITERALS = 1000
/** A refused non-synchronizing literal up to this size is read and thrown away; more ends the session (RFC 7888 §4). */
const MAX_DISCARD = 64 * 1024 * 1024
const LITERAL = /(~?)\{(\d{1,15})(\+?)\}$/

/**
 * Reads the next command.
 * @param proceed asks the client to send a synchronizing literal
 */
export async function readCommand(input: ByteReader, limits: CommandLimits, proceed: () => void): Promise<ReadCommand> {
  const pieces: Pieces = []
  let start: string | undefined
  let textLeft = limits.lineBytes
  let literalsLeft = Number.POSITIVE_INFINITY
  let refused = false
  for (;;) {
    const line = await input.readLine(textLeft)
    if (line === undefined) return { kind: 'end' }
    if (line === 'tooLong') return { kind: 'fatal', reason: 'Command line too long' }
    textLeft -= line.length
    const text = line.toString('latin1')
    const match = LITERAL.exec(text)
    if (!match) {
      if (refused) return { kind: 'literalTooBig', start: start ?? '' }
      pieces.push(text)
      return { kind: 'command', pieces }
    }
    const before = text.slice(0, match.index)
    if (start === undefined) {
      start = before
      literalsLeft = limits.totalLiteralBytes(start)
    }
    const size = Number(match[2])
    const synchronizing = match[3] === ''
    if (pieces.length >= MAX_LITERALS * 2) return { kind: 'fatal', reason: 'Too many literals' }
    if (refused || size > limits.literalBytes(start) || size > literalsLeft) {
      if (synchronizing) return { kind: 'literalTooBig', start }
      if (size > MAX_DISCARD) return { kind: 'fatal', reason: 'Literal too big' }
      if (!(await input.discard(size))) return { kind: 'end' }
      refused = true
      pieces.length = 0
      continue
    }
    literalsLeft -= size
    if (synchronizing) proceed()
    const bytes = await input.readBytes(size)
    if (bytes === undefined) return { kind: 'end' }
    pieces.push(before, { bytes, binary: match[1] === '~' })
  }
}

/** Bytes as they come, taken as lines or by number. One reader at a time. */
export class ByteReader {
  readonly #chunks: Buffer[] = []
  #buffered = 0
  #ended = false
  #wake: (() => void) | undefined
  readonly #flow: { pause(): void; resume(): void }
  #paused = false

  /** @param flow told to hold the sender back while much is unread */
  constructor(flow: { pause(): void; resume(): void }) {
    this.#flow = flow
  }

  push(chunk: Buffer): void {
    if (this.#ended || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    if (this.#buffered > HIGH_WATER && !this.#wake) this.#pause()
    this.#wakeUp()
  }

  /** No more bytes will come; what is buffered can still be read. */
  end(): void {
    this.#ended = true
    this.#wakeUp()
  }

  /** Resolves at once when bytes are there, else when some come. False at the end. */
  async available(): Promise<boolean> {
    while (this.#chunks.length === 0) if (!(await this.#more())) return false
    return true
  }

  /** @returns the line without its line break; undefined at the end; 'tooLong' beyond `maxBytes` */
  async readLine(maxBytes: number): Promise<Buffer | 'tooLong' | undefined> {
    const parts: Buffer[] = []
    let length = 0
    for (;;) {
      const chunk = this.#take()
      if (!chunk) {
        if (!(await this.#more())) return undefined
        continue
      }
      const at = chunk.indexOf(10)
      const part = at < 0 ? chunk : chunk.subarray(0, at)
      length += part.length
      if (length > maxBytes + 1) return 'tooLong'
      parts.push(part)
      if (at < 0) continue
      if (at + 1 < chunk.length) this.#putBack(chunk.subarray(at + 1))
      const line = parts.length === 1 ? part : Buffer.concat(parts, length)
      return line.at(-1) === 13 ? line.subarray(0, -1) : line
    }
  }

  /** @returns undefined when the end comes first */
  async readBytes(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    const complete = await this.#consume(count, (part) => parts.push(part))
    if (!complete) return undefined
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts, count)
  }

  /** False when the end comes first. */
  discard(count: number): Promise<boolean> {
    return this.#consume(count, () => undefined)
  }

  async #consume(count: number, each: (part: Buffer) => void): Promise<boolean> {
    let left = count
    while (left > 0) {
      const chunk = this.#take()
      if (!chunk) {
        if (!(await this.#more())) return false
        continue
      }
      if (chunk.length > left) this.#putBack(chunk.subarray(left))
      each(chunk.length > left ? chunk.subarray(0, left) : chunk)
      left -= Math.min(left, chunk.length)
    }
    return true
  }

  #take(): Buffer | undefined {
    const chunk = this.#chunks.shift()
    if (chunk) this.#buffered -= chunk.length
    if (this.#paused && this.#buffered < HIGH_WATER / 2) this.#resume()
    return chunk
  }

  #putBack(chunk: Buffer): void {
    this.#chunks.unshift(chunk)
    this.#buffered += chunk.length
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false
    if (this.#paused) this.#resume()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    await promise
    return this.#chunks.length > 0 || !this.#ended
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #pause(): void {
    this.#paused = true
    this.#flow.pause()
  }

  #resume(): void {
    this.#paused = false
    this.#flow.resume()
  }
}

const HIGH_WATER = 256 * 1024
