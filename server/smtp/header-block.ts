/**
 * A look at a message's header block before it is parsed: what the receiving side must know (hops, Message-ID) and the
 * trace fields of strangers it must take out. Pure, one pass, over the bytes as they came.
 */

export interface HeaderBlock {
  /** Bytes of the block with the empty line that ends it; all of the message when there is none. */
  length: number
  /** Received fields: the hops so far (RFC 5321 §6.3). */
  hops: number
  hasMessageId: boolean
}

/** Finds the end of the header block: the offset after CRLF CRLF (or LF LF from sloppy writers). */
export function headerLength(message: Buffer): number {
  if (message[0] === 0x0d && message[1] === 0x0a) return 2
  const end = message.indexOf('\r\n\r\n')
  return end === -1 ? message.length : end + 4
}

/** @param message the whole message, or at least its header block */
export function inspectHeader(message: Buffer): HeaderBlock {
  const length = headerLength(message)
  const text = message.toString('latin1', 0, length)
  let hops = 0
  let hasMessageId = false
  for (const match of text.matchAll(/^(received|message-id)[ \t]*:/gim)) {
    if (match[1]?.toLowerCase() === 'received') hops++
    else hasMessageId = true
  }
  return { length, hops, hasMessageId }
}

/**
 * Takes fields out of a header block.
 * @param header the block with its final empty line
 * @param unwanted told the lower-case name and the whole field with its folding; true removes it
 * @returns the same buffer when nothing was unwanted
 */
export function withoutFields(header: Buffer, unwanted: (name: string, field: string) => boolean): Buffer {
  const kept: string[] = []
  let removed = false
  for (const field of header.toString('latin1').match(/[^\n]*\n(?:[ \t][^\n]*\n)*|[^\n]+$/g) ?? []) {
    const name = /^([!-9;-~]+)[ \t]*:/.exec(field)?.[1]
    if (name !== undefined && unwanted(name.toLowerCase(), field)) removed = true
    else kept.push(field)
  }
  return removed ? Buffer.from(kept.join(''), 'latin1') : header
}

/**
 * Which fields of incoming mail only we may write: our own Authentication-Results (RFC 8601 §5), the verdict fields that
 * mail programs filter on, and Return-Path, which the last hop writes (RFC 5321 §4.4).
 * @param authservId our host name, as we write it into Authentication-Results
 */
export function forgedTraceFields(authservId: string): (name: string, field: string) => boolean {
  const ours = authservId.toLowerCase()
  return (name, field) => {
    if (name === 'return-path') return true
    if (name.startsWith('x-spam-')) return true
    if (name !== 'authentication-results') return false
    // §2.2: [CFWS] authserv-id [version] ";" ... : comments may come first, the id may be quoted
    const value = field.slice(field.indexOf(':') + 1).replace(/\((?:[^()\\]|\\.)*\)/g, ' ')
    const id = /^\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/.exec(value)
    return (id?.[1] ?? id?.[2] ?? '').toLowerCase() === ours
  }
}

/** Quick test, so that mail without such fields is never rewritten. */
export function mayHaveForgedFields(header: string): boolean {
  return /^(?:return-path|x-spam-[!-9;-~]*|authentication-results)[ \t]*:/im.test(header)
}

/**
 * Turns bare LF into CRLF (RFC 5321 §2.3.8): a lone LF must never be a line end for the next server when it was content
 * for us, which is how messages are smuggled into others. Bare CR stays: no server takes it for a line end.
 * @returns the same buffer when there was none
 */
export function withCrlf(message: Buffer): Buffer {
  const parts: Buffer[] = []
  let from = 0
  for (let at = message.indexOf(0x0a); at !== -1; at = message.indexOf(0x0a, at + 1)) {
    if (at > 0 && message[at - 1] === 0x0d) continue
    parts.push(message.subarray(from, at), CRLF)
    from = at + 1
  }
  if (parts.length === 0) return message
  parts.push(message.subarray(from))
  return Buffer.concat(parts)
}
const CRLF = Buffer.from('\r\n')
