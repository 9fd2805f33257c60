/** Responses to the socket: gathered into large writes, held back when the client does not read. */
import type { Duplex } from 'node:stream'

const WRITE_SIZE = 64 * 1024

export class Output {
  readonly #socket: Duplex
  readonly #stallMs: number
  #parts: (string | Buffer)[] = []
  #size = 0

  /** @param stallMs how long a client may take nothing before it is cut off */
  constructor(socket: Duplex, stallMs: number) {
    this.#socket = socket
    this.#stallMs = stallMs
  }

  write(data: string | Buffer): void {
    this.#parts.push(data)
    this.#size += data.length
  }

  /** Enough for one large write. */
  get full(): boolean {
    return this.#size >= WRITE_SIZE
  }

  /** Hands everything to the socket and waits while its buffer is full. */
  async flush(): Promise<void> {
    this.send()
    if (!this.#socket.writableNeedDrain || this.#socket.destroyed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const stalled = setTimeout(() => this.#socket.destroy(), this.#stallMs)
    this.#socket.once('drain', resolve)
    this.#socket.once('close', resolve)
    await promise
    clearTimeout(stalled)
    this.#socket.off('drain', resolve)
    this.#socket.off('close', resolve)
  }

  /** Hands everything to the socket without waiting. */
  send(): void {
    const parts = this.#parts
    if (parts.length === 0) return
    this.#parts = []
    this.#size = 0
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.cork()
    let text = ''
    for (const part of parts) {
      if (typeof part === 'string') {
        text += part
        continue
      }
      if (text !== '') this.#socket.write(text, 'utf8')
      text = ''
      this.#socket.write(part)
    }
    if (text !== '') this.#socket.write(text, 'utf8')
    this.#socket.uncork()
  }
}
