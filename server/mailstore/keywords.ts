/** Keywords as they are stored: lower case, each once, without characters that JMAP and IMAP forbid. */
import type { Keyword } from './types.ts'

/** RFC 8621 §4.1.1: 1 to 255 characters of %x21-%x7e but ( ) { ] % * " \ */
const KEYWORD = /^[\x21\x23\x24\x26\x27\x2b-\x5b\x5e-\x7a\x7c-\x7e]{1,255}$/
/** More on one message is a mistake or an attack: the rest is left out. */
const MAX_KEYWORDS = 200

/** Keywords that cannot be stored are left out: the protocols refuse them before. */
export function keywordSet(keywords: readonly Keyword[]): Keyword[] {
  const kept = new Set(keywords.map((keyword) => keyword.toLowerCase()).filter((keyword) => KEYWORD.test(keyword)))
  return [...kept].sort().slice(0, MAX_KEYWORDS)
}

export function sameKeywords(a: readonly Keyword[], b: readonly Keyword[]): boolean {
  return a.length === b.length && a.every((keyword) => b.includes(keyword))
}
