/** Header fields of a message or part: where they are and what they say. Meaning of single fields lives elsewhere. */
import { isUtf8 } from 'node:buffer'

export interface HeaderField {
  /** As written. */
  name: string
  /** Everything after the colon up to the final line break, folding kept; 8-bit bytes as UTF-8 when valid, else latin1. */
  value: string
  /** Bytes into the message; `end` is after the field's line break. */
  start: number
  end: number
}

const LF = 10
const CR = 13
const COLON = 58

/**
 * Finds the header block that begins at `start`.
 * @param stopsAt asked for lines that begin with "--": a MIME delimiter ends a header that has no blank line
 * @returns `bodyStart` is after the blank line; `fieldsEnd` before it. Without a blank line both are where the header stops.
 */
export function headerEnd(
  raw: Buffer,
  start: number,
  end: number,
  stopsAt?: (lineStart: number) => boolean,
): { fieldsEnd: number; bodyStart: number } {
  if (start < end && !beginsLikeHeader(raw, start, end)) return { fieldsEnd: start, bodyStart: start }
  let line = start
  while (line < end) {
    const first = raw[line]
    if (first === LF) return { fieldsEnd: line, bodyStart: line + 1 }
    if (first === CR && raw[line + 1] === LF && line + 1 < end) return { fieldsEnd: line, bodyStart: line + 2 }
    if (first === 45 && raw[line + 1] === 45 && stopsAt?.(line)) return { fieldsEnd: line, bodyStart: line }
    const lineEnd = raw.indexOf(LF, line)
    if (lineEnd < 0 || lineEnd >= end) break
    line = lineEnd + 1
  }
  return { fieldsEnd: end, bodyStart: end }
}

/** A block whose first line is neither a field, a continuation, blank, a delimiter nor an mbox "From " line is all body. */
function beginsLikeHeader(raw: Buffer, start: number, end: number): boolean {
  const first = raw[start]
  if (first === LF || first === CR || first === 32 || first === 9) return true
  if (first === 45 && raw[start + 1] === 45) return true
  let at = start
  while (at < end) {
    const byte = raw[at] ?? 0
    if (byte <= 32 || byte >= 127 || byte === COLON) break
    at++
  }
  if (at === start) return false
  const name = at
  while (at < end && (raw[at] === 32 || raw[at] === 9)) at++
  if (raw[at] === COLON && at < end) return true
  return name - start <= 5 && /^>?From$/.test(raw.toString('latin1', start, name))
}

/** The fields of [start, end), in order; stops at the blank line. Lines that are no field are passed over. */
export function headerFields(raw: Buffer, start: number, end: number): HeaderField[] {
  // NUL, which neither RFC 5322 nor the index's text columns know, becomes a space
  const text = raw.toString('latin1', start, end).replaceAll('\0', ' ')
  const has8bit = /[\x80-\xff]/.test(text)
  const fields: HeaderField[] = []
  let at = 0
  while (at < text.length) {
    let next = afterLine(text, at)
    if (text.charCodeAt(at) === LF || (text.charCodeAt(at) === CR && text.charCodeAt(at + 1) === LF)) break
    while (next < text.length && isWsp(text.charCodeAt(next))) next = afterLine(text, next)
    let nameEnd = at
    while (nameEnd < next && isNameChar(text.charCodeAt(nameEnd))) nameEnd++
    let colon = nameEnd
    while (colon < next && isWsp(text.charCodeAt(colon))) colon++ // obs-optional: "Subject : x", RFC 5322 §4.5
    if (nameEnd > at && text.charCodeAt(colon) === COLON) {
      let valueEnd = next
      if (text.charCodeAt(valueEnd - 1) === LF) valueEnd--
      if (text.charCodeAt(valueEnd - 1) === CR) valueEnd--
      const value = text.slice(colon + 1, Math.max(valueEnd, colon + 1))
      fields.push({
        name: text.slice(at, nameEnd),
        value: has8bit ? eightBitText(value) : value,
        start: start + at,
        end: start + next,
      })
    }
    at = next
  }
  return fields
}

/** Bytes given as a latin1 string: UTF-8 when they are (RFC 6532), else left as latin1. */
export function eightBitText(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1
  const bytes = Buffer.from(latin1, 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : latin1
}

/** Undoes folding (RFC 5322 §2.2.3) and trims. A tab that began a continuation line is a space then, as readers show it. */
export function unfold(value: string): string {
  return (/[\r\n]/.test(value) ? value.replace(/(?:\r\n|\r|\n)\t/g, ' ').replace(/[\r\n]+/g, '') : value).trim()
}

/** Value of the first field of that lower-case name, unfolded. */
export function firstValue(fields: readonly HeaderField[], name: string): string | undefined {
  const field = fields.find((field) => field.name.length === name.length && field.name.toLowerCase() === name)
  return field && unfold(field.value)
}

/** Values of all fields of that lower-case name, unfolded. */
export function allValues(fields: readonly HeaderField[], name: string): string[] {
  return fields
    .filter((field) => field.name.length === name.length && field.name.toLowerCase() === name)
    .map((field) => unfold(field.value))
}

function afterLine(text: string, at: number): number {
  const lineEnd = text.indexOf('\n', at)
  return lineEnd < 0 ? text.length : lineEnd + 1
}

const isWsp = (code: number) => code === 32 || code === 9
const isNameChar = (code: number) => code > 32 && code < 127 && code !== COLON

/** A message begins with a header field (or an mbox line that some programs leave on top). */
export const looksLikeMessage = (raw: Buffer): boolean =>
  /^(?:From |[\x21-\x39\x3b-\x7e]+[ \t]*:)/.test(raw.toString('latin1', 0, 1000))
