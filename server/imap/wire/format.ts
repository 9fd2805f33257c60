/** Values as responses carry them. Response text is a JS string that goes out as UTF-8. */
import { encodeModifiedUtf7 } from './modified-utf7.ts'

const ATOM = /^[^\x00-\x20\x7f-\uffff(){%*"\\\]]+$/
const QUOTABLE_ASCII = /^[\x20-\x7e]*$/
/** What UTF-8 quoted strings may hold (RFC 9051 §9 QUOTED-CHAR); controls go into literals. */
const QUOTABLE_UTF8 = /^[^\x00-\x1f\x7f]*$/
const MAX_QUOTED = 4096

/**
 * A string: quoted where it can be, else a literal.
 * @param utf8 the client takes UTF-8 in quoted strings
 */
export function string(value: string, utf8: boolean): string {
  if (value.length <= MAX_QUOTED && (QUOTABLE_ASCII.test(value) || (utf8 && QUOTABLE_UTF8.test(value)))) {
    return value.includes('"') || value.includes('\\') ? `"${value.replace(/["\\]/g, '\\$&')}"` : `"${value}"`
  }
  const text = value.replaceAll('\0', '')
  return `{${Buffer.byteLength(text)}}\r\n${text}`
}

export function nstring(value: string | null | undefined, utf8: boolean): string {
  return value === null || value === undefined ? 'NIL' : string(value, utf8)
}

/** astring: an atom where it can be. */
export function astring(value: string, utf8: boolean): string {
  return ATOM.test(value) && value.toUpperCase() !== 'NIL' ? value : string(value, utf8)
}

/** A mailbox name: quoted, modified UTF-7 for clients that do not take UTF-8. */
export function mailboxName(path: string, utf8: boolean): string {
  return string(utf8 ? path : encodeModifiedUtf7(path), utf8)
}
