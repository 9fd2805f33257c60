/**
 * smtp-server's parser with a quicker way through message bytes: it looks at each byte in JavaScript, which is most of what
 * receiving costs. Lines that begin with a dot are all that needs looking at (RFC 5321 §4.5.2), and finding them is native.
 */
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'

const LF_DOT = Buffer.from('\n.')
/** Bytes before a dot that decide what it is: CRLF, and two to spare. */
const CONTEXT = 4
/** Shorter runs are not worth a write of their own. */
const MIN_RUN = 512
const DOT = 0x2e

export class DataScanner extends SMTPStream {
  /** Passes on what cannot hold a dot at a line's start, and leaves the rest to smtp-server. */
  override _feedDataStream(chunk: Buffer, done: (error?: Error | null) => void): void {
    const stream = this._dataStream
    const kept = this._lastBytes
    const startsWithDot = this._atDataStart && (kept || chunk)[0] === DOT
    const found = chunk.indexOf(LF_DOT)
    const run = (found === -1 ? chunk.length : found) - CONTEXT
    const dotAtSeam = kept && Buffer.concat([kept, chunk.subarray(0, CONTEXT)]).includes(LF_DOT)
    if (!stream || run < MIN_RUN || startsWithDot || dotAtSeam) {
      super._feedDataStream(chunk, done)
      return
    }
    this._lastBytes = false
    for (const bytes of [kept, chunk.subarray(0, run)]) {
      if (!bytes) continue
      this._countDataBytes(bytes.length)
      if (stream.writable) stream.write(bytes)
    }
    super._feedDataStream(chunk.subarray(run), done)
  }
}
