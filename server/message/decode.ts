/** Transfer encodings of parts: base64, quoted-printable, and none (RFC 2045 §6). */
import { decodeCharset } from './charset.ts'
import { hexDigit } from './encoded-words.ts'
import type { MimePart } from './types.ts'

/** The part's body, transfer encoding undone; a view of `raw` where there is none. Never throws. */
export function decodePart(raw: Buffer, part: MimePart): Buffer {
  return decodeBody(raw, part.bodyStart, part.bodyEnd, part.encoding)
}

/** The part's body as text, by its charset parameter. */
export function partText(raw: Buffer, part: MimePart): string {
  return decodeCharset(decodePart(raw, part), part.parameters.charset ?? '')
}

/** The beginning of the part's text: at most about `maxBytes` of the encoded body are looked at. */
export function partTextPrefix(raw: Buffer, part: MimePart, maxBytes: number): string {
  const end = Math.min(part.bodyEnd, part.bodyStart + maxBytes)
  return decodeCharset(decodeBody(raw, part.bodyStart, end, part.encoding), part.parameters.charset ?? '')
}

/** True for the encodings that `decodePart` knows; others come back as they are (IMAP BINARY says UNKNOWN-CTE). */
export function isKnownEncoding(encoding: string): boolean {
  return ['7bit', '8bit', 'binary', 'base64', 'quoted-printable'].includes(encoding)
}

function decodeBody(raw: Buffer, start: number, end: number, encoding: string): Buffer {
  if (encoding === 'base64') return decodeBase64(raw, start, end)
  if (encoding === 'quoted-printable') return decodeQuotedPrintable(raw, start, end)
  return raw.subarray(start, end)
}

/** How many bytes `decodePart` will return, without keeping them. */
export function decodedSize(raw: Buffer, start: number, end: number, encoding: string): number {
  if (encoding === 'base64') return Math.floor((base64Characters(raw, start, end) * 3) / 4)
  if (encoding === 'quoted-printable') return decodeQuotedPrintable(raw, start, end).length
  return end - start
}

const BASE64 = new Uint8Array(256)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') BASE64[char.charCodeAt(0)] = 1

function base64Characters(raw: Buffer, start: number, end: number): number {
  let count = 0
  for (let at = start; at < end; at++) count += BASE64[raw[at] ?? 0] ?? 0
  return count
}

/** RFC 2045 §6.8: characters outside the alphabet are ignored, and so is padding in the middle. */
function decodeBase64(raw: Buffer, start: number, end: number): Buffer {
  const text = raw.toString('latin1', start, end)
  const decoded = Buffer.from(text, 'base64')
  if (decoded.length === Math.floor((base64Characters(raw, start, end) * 3) / 4)) return decoded
  return Buffer.from(text.replace(/[^A-Za-z0-9+/]+/g, ''), 'base64')
}

/** RFC 2045 §6.7; what is no escape is kept as it stands. */
function decodeQuotedPrintable(raw: Buffer, start: number, end: number): Buffer {
  const out = Buffer.allocUnsafe(end - start)
  let length = 0
  let solid = 0 // length without the white space after it, which at a line's end was added on the way (3)
  let at = start
  while (at < end) {
    let byte = raw[at++] ?? 0
    if (byte === 0x3d) {
      const high = at < end ? hexDigit(raw[at]) : -1
      const low = at + 1 < end ? hexDigit(raw[at + 1]) : -1
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low
        at += 2
      } else {
        const next = afterSoftBreak(raw, at, end)
        if (next > 0) {
          at = next
          solid = length
          continue
        }
      }
    } else if (byte === 32 || byte === 9 || byte === 13) {
      out[length++] = byte
      continue
    } else if (byte === 10) {
      const cr = length > solid && out[length - 1] === 13
      length = solid
      if (cr) out[length++] = 13
    }
    out[length++] = byte
    solid = length
  }
  return out.subarray(0, length)
}

/** (5): "=" at the end of a line. @returns where the next line begins, or 0 when it is no soft break */
function afterSoftBreak(raw: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && (raw[at] === 32 || raw[at] === 9)) at++
  if (at >= end) return end
  if (raw[at] === 10) return at + 1
  if (raw[at] === 13 && raw[at + 1] === 10 && at + 1 < end) return at + 2
  return 0
}
