/** Values with parameters, as Content-Type and Content-Disposition have them: RFC 2045 §5.1, RFC 2231, and what people write. */
import { decodeCharset } from './charset.ts'
import { decodeEncodedWords, hexDigit } from './encoded-words.ts'

export interface ParameterizedValue {
  /** What stands before the first ';', trimmed, comments removed, lower case. */
  value: string
  /** Lower-case names; RFC 2231 continuations joined and decoded, and encoded-words, which do not belong there, too. */
  parameters: Record<string, string>
}

const MAX_PARAMETERS = 100

/** Parses an unfolded value; never throws. */
export function parseParameterized(text: string): ParameterizedValue {
  const { value, pairs } = splitParameters(text)
  const parameters: Record<string, string> = {}
  const segments = new Map<string, Map<number, { text: string; encoded: boolean }>>()
  for (const [name, raw] of pairs) {
    // RFC 2231 §3, §4: name*0, name*1*, name*
    const star = name.indexOf('*')
    if (star <= 0) {
      if (!Object.hasOwn(parameters, name)) define(parameters, name, decodeEncodedWords(raw).replaceAll('\0', ''))
      continue
    }
    const encoded = name.endsWith('*')
    const index = Number(name.slice(star + 1, encoded && name.length > star + 1 ? -1 : undefined) || '0')
    if (!Number.isInteger(index) || index < 0 || index > MAX_PARAMETERS) continue
    const base = name.slice(0, star)
    const list = segments.get(base) ?? new Map()
    segments.set(base, list)
    if (!list.has(index)) list.set(index, { text: raw, encoded })
  }
  for (const [name, list] of segments) define(parameters, name, joinSegments(list))
  return { value, parameters }
}

/** Parameter names are strangers' text: '__proto__' must become a plain property. */
function define(parameters: Record<string, string>, name: string, value: string): void {
  Object.defineProperty(parameters, name, { value, enumerable: true, writable: true, configurable: true })
}

function joinSegments(segments: Map<number, { text: string; encoded: boolean }>): string {
  let charset = 'utf-8'
  const chunks: Buffer[] = []
  for (let index = 0; ; index++) {
    const segment = segments.get(index)
    if (!segment) break
    let { text } = segment
    if (segment.encoded && index === 0) {
      const [name, language, ...rest] = text.split("'")
      if (language !== undefined && rest.length > 0) {
        charset = name || 'utf-8'
        text = rest.join("'")
      }
    }
    chunks.push(segment.encoded ? decodePercent(text) : Buffer.from(text, 'utf8'))
  }
  return decodeCharset(Buffer.concat(chunks), charset).replaceAll('\0', '')
}

function decodePercent(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const high = bytes[at] === 0x25 ? hexDigit(bytes[at + 1]) : -1
    const low = high < 0 ? -1 : hexDigit(bytes[at + 2])
    if (low < 0) bytes[length++] = bytes[at] ?? 0
    else {
      bytes[length++] = high * 16 + low
      at += 2
    }
  }
  return bytes.subarray(0, length)
}

/** One pass: tokens, quoted-strings and comments; unquoted values may contain spaces (file names often do). */
function splitParameters(text: string): { value: string; pairs: [name: string, value: string][] } {
  const pairs: [string, string][] = []
  let value: string | undefined
  let current = ''
  let quotedAt = -1
  let comments = true // until one is not closed: no use looking again
  let name: string | undefined
  const finish = () => {
    const trimmed = quotedAt >= 0 ? current : current.trim()
    if (value === undefined) value = trimmed.toLowerCase()
    else if (name) pairs.push([name.trim().toLowerCase(), trimmed])
    current = ''
    quotedAt = -1
    name = undefined
  }
  for (let at = 0; at < text.length && pairs.length < MAX_PARAMETERS; at++) {
    const char = text[at]
    if (char === ';') finish()
    else if (char === '"') {
      quotedAt = at
      if (current.trim() === '') current = ''
      for (at++; at < text.length && text[at] !== '"'; at++) {
        if (text[at] === '\\' && at + 1 < text.length) at++
        current += text[at]
      }
    } else if (char === '(' && comments) {
      const end = commentEnd(text, at)
      if (end < 0) comments = false
      // "charset=us-ascii (Plain text)" ends in a comment, "filename=report (1).pdf" holds none
      const isComment =
        end > 0 && (name === undefined || quotedAt >= 0 || /^\s*(;|$)/.test(text.slice(end + 1, end + 20)))
      if (isComment) at = end
      else if (quotedAt < 0) current += char
    } else if (char === '=' && value !== undefined && name === undefined) {
      name = current
      current = ''
    } else if (quotedAt < 0) current += char
  }
  finish()
  return { value: value ?? '', pairs }
}

/** Index of the ')' that closes the comment at `start`; -1 when it is not closed within a bounded length. */
function commentEnd(text: string, start: number): number {
  let depth = 0
  const limit = Math.min(text.length, start + 256)
  for (let at = start; at < limit; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '(') depth++
    else if (text[at] === ')' && --depth === 0) return at
  }
  return -1
}
