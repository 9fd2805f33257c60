/** Encoded-words in header values: RFC 2047, language suffix RFC 2231 §5. */
import { decodeCharset } from './charset.ts'

const ENCODED_WORD = /=\?([^?\s]{1,60})\?([bBqQ])\?([^?\r\n]*)\?=/g

/**
 * Decodes every encoded-word of an unfolded value and leaves the rest as it is. White space between two encoded-words
 * goes away (§6.2). Neighbours of one charset and encoding are joined before decoding, because many writers cut
 * multi-byte characters in two.
 */
export function decodeEncodedWords(value: string): string {
  if (!value.includes('=?')) return value
  let text = ''
  let after = 0
  let pending: { charset: string; chunks: Buffer[] } | undefined
  const flush = () => {
    if (pending) text += decodeCharset(Buffer.concat(pending.chunks), pending.charset)
    pending = undefined
  }
  for (const match of value.matchAll(ENCODED_WORD)) {
    const [word, charsetAndLanguage = '', encoding = '', encoded = ''] = match
    const between = value.slice(after, match.index)
    const adjacent = pending !== undefined && /^[ \t]*$/.test(between)
    const charset = (charsetAndLanguage.split('*', 1)[0] ?? '').toLowerCase()
    if (!adjacent || pending?.charset !== charset) flush()
    if (!adjacent) text += between
    pending ??= { charset, chunks: [] }
    pending.chunks.push(encoding === 'b' || encoding === 'B' ? Buffer.from(encoded, 'base64') : decodeQ(encoded))
    after = match.index + word.length
  }
  flush()
  return text + value.slice(after)
}

/** Decoded, without control characters, NFC: for people and search. */
export function humanText(value: string): string {
  return decodeEncodedWords(value)
    .replace(/[\0-\x08\x0b-\x1f\x7f]/g, '')
    .normalize('NFC')
}

/** The "Q" encoding (§4.2). */
function decodeQ(encoded: string): Buffer {
  const bytes = Buffer.from(encoded, 'utf8')
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === 0x5f) bytes[length++] = 0x20
    else if (byte === 0x3d && at + 2 < bytes.length) {
      const high = hexDigit(bytes[at + 1])
      const low = hexDigit(bytes[at + 2])
      if (high < 0 || low < 0) bytes[length++] = byte
      else {
        bytes[length++] = high * 16 + low
        at += 2
      }
    } else bytes[length++] = byte
  }
  return bytes.subarray(0, length)
}

/** 0..15, or -1. */
export function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const upper = byte & 0xdf
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : -1
}
