/**
 * Address lists (RFC 5322 §3.4) with the obsolete syntax of §4.4: routes, empty elements, comments anywhere, dots in
 * phrases, spaces inside addresses; and 8-bit text. Never throws, one pass.
 */
import { humanText } from './encoded-words.ts'
import type { EnvelopeAddress, NamedAddress } from './types.ts'

export type Address =
  | {
      kind: 'mailbox'
      /** Unquoted, encoded-words kept; the trailing comment when there is no phrase. */
      name: string | null
      /** Unquoted. */
      local: string
      /** '' when none was written. */
      domain: string
    }
  | { kind: 'groupStart'; name: string }
  | { kind: 'groupEnd' }

const MAX_ADDRESSES = 10_000
const MAX_COMMENT_DEPTH = 20

/** Parses an unfolded value of From, To, ... */
export function parseAddresses(value: string): Address[] {
  const addresses: Address[] = []
  const scanner = new AddressScanner(value)
  let inGroup = false
  let words: Word[] = [] // what came before '<' or the end of the element
  let comment: string | undefined
  let angle: { local: string; domain: string } | undefined

  const finish = () => {
    if (angle) addresses.push({ kind: 'mailbox', name: phrase(words) ?? comment ?? null, ...angle })
    else if (words.length > 0) addresses.push(bareAddress(words, comment))
    words = []
    comment = undefined
    angle = undefined
  }

  for (let word = scanner.next(); word && addresses.length < MAX_ADDRESSES; word = scanner.next()) {
    if (word.kind === 'comment') comment = word.text
    else if (word.kind !== 'special') words.push(word)
    else if (word.text === ',') finish()
    else if (word.text === ';') {
      finish()
      if (inGroup) addresses.push({ kind: 'groupEnd' })
      inGroup = false
    } else if (word.text === ':' && !inGroup && !angle && words.length > 0 && !words.some(isAt)) {
      addresses.push({ kind: 'groupStart', name: phrase(words) ?? '' })
      words = []
      comment = undefined
      inGroup = true
    } else if (word.text === '<') {
      if (angle) finish()
      angle = angleAddress(scanner)
    } else if (word.text === '@' || word.text === '.') words.push(word)
  }
  finish()
  if (inGroup) addresses.push({ kind: 'groupEnd' })
  return addresses
}

/** As IMAP's ENVELOPE wants them (RFC 9051 §7.5.2). */
export function envelopeAddresses(addresses: readonly Address[]): EnvelopeAddress[] {
  return addresses.map((address) => {
    if (address.kind === 'groupStart') return [null, address.name, null]
    if (address.kind === 'groupEnd') return [null, null, null]
    return [address.name, address.local, address.domain]
  })
}

/** For people and for JMAP: groups dissolved, names decoded. */
export function namedAddresses(addresses: readonly Address[]): NamedAddress[] {
  const named: NamedAddress[] = []
  for (const address of addresses) {
    if (address.kind !== 'mailbox') continue
    const name = address.name === null ? '' : humanText(address.name).trim()
    named.push({ name: name === '' ? null : name, email: addressText(address.local, address.domain) })
  }
  return named
}

/** addr-spec: the local part quoted when it is no dot-atom. */
export function addressText(local: string, domain: string): string {
  const atoms = /^[^\s"(),.:;<>@[\\\]]+(?:\.[^\s"(),.:;<>@[\\\]]+)*$/
  const written = atoms.test(local) || local === '' ? local : `"${local.replace(/["\\]/g, '\\$&')}"`
  return domain === '' ? written : `${written}@${domain}`
}

interface Word {
  kind: 'atom' | 'quoted' | 'literal' | 'comment' | 'special'
  text: string
  /** White space or a comment stood before it. */
  spaced: boolean
}

const isAt = (word: Word) => word.kind === 'special' && word.text === '@'

/** Display name: words joined as they were spaced. */
function phrase(words: readonly Word[]): string | undefined {
  let text = ''
  for (const word of words) text += (word.spaced && text !== '' ? ' ' : '') + word.text
  return text === '' ? undefined : text
}

/** An element without angle brackets: addr-spec, or a name without an address. */
function bareAddress(words: readonly Word[], comment: string | undefined): Address {
  const at = words.findLastIndex(isAt)
  if (at < 0) return { kind: 'mailbox', name: comment ?? null, local: phrase(words) ?? '', domain: '' }
  // "Jane Doe jane@example.org": the address is what touches the '@', the rest its name. Spaces around '.' and '@' are
  // obsolete syntax (RFC 5322 §4.4) and do not end it.
  let first = at
  while (first > 0 && (first === at || joins(words[first - 1], words[first]))) first--
  let last = at
  while (last + 1 < words.length && (last === at || joins(words[last], words[last + 1]))) last++
  const name = phrase([...words.slice(0, first), ...words.slice(last + 1)])
  const text = (part: readonly Word[]) => part.map((word) => word.text).join('')
  return {
    kind: 'mailbox',
    name: name ?? comment ?? null,
    local: text(words.slice(first, at)),
    domain: text(words.slice(at + 1, last + 1)),
  }
}

/** Two words belong to one address when nothing or a dot stands between them. */
function joins(left: Word | undefined, right: Word | undefined): boolean {
  if (!left || !right) return false
  return !right.spaced || right.text === '.' || left.text === '.'
}

/** After '<': optional route, addr-spec, '>'. Whatever stands there is taken. */
function angleAddress(scanner: AddressScanner): { local: string; domain: string } {
  let words: Word[] = []
  for (let word = scanner.next(); word; word = scanner.next()) {
    if (word.kind === 'comment') continue
    if (word.kind === 'special') {
      if (word.text === '>') break
      if (word.text === ':' && words.some(isAt)) words = [] // RFC 5322 §4.4: obs-route, dropped
      if (word.text !== '@' && word.text !== '.') continue
    }
    words.push(word)
  }
  const at = words.findLastIndex(isAt)
  const text = (part: readonly Word[]) => part.map((word) => word.text).join('')
  if (at < 0) return { local: text(words), domain: '' }
  return { local: text(words.slice(0, at)), domain: text(words.slice(at + 1)) }
}

class AddressScanner {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  next(): Word | undefined {
    const { text } = this
    let spaced = false
    while (this.at < text.length && text.charCodeAt(this.at) <= 32) {
      this.at++
      spaced = true
    }
    if (this.at >= text.length) return undefined
    switch (text[this.at]) {
      case '"':
        return { kind: 'quoted', text: this.delimited('"'), spaced }
      case '[':
        return { kind: 'literal', text: `[${this.delimited(']')}]`, spaced }
      case '(':
        return { kind: 'comment', text: this.comment(), spaced: true }
      case ',':
      case ';':
      case ':':
      case '<':
      case '>':
      case '@':
      case '.':
        return { kind: 'special', text: text[this.at++] ?? '', spaced }
    }
    const start = this.at++
    while (this.at < text.length && !endsAtom(text.charCodeAt(this.at))) this.at++
    return { kind: 'atom', text: text.slice(start, this.at), spaced }
  }

  private delimited(close: string): string {
    let value = ''
    for (this.at++; this.at < this.text.length && this.text[this.at] !== close; this.at++) {
      if (this.text[this.at] === '\\' && this.at + 1 < this.text.length) this.at++
      value += this.text[this.at]
    }
    this.at++
    return value
  }

  private comment(): string {
    let value = ''
    let depth = 0
    for (; this.at < this.text.length; this.at++) {
      let char = this.text[this.at]
      if (char === '\\' && this.at + 1 < this.text.length) char = this.text[++this.at]
      else if (char === '(') {
        if (++depth > MAX_COMMENT_DEPTH) depth = MAX_COMMENT_DEPTH
        if (depth === 1) continue
      } else if (char === ')' && --depth === 0) {
        this.at++
        break
      }
      value += char
    }
    return value.trim()
  }
}

/** Space, controls and specials; ')' and ']' alone are taken as text. */
function endsAtom(code: number): boolean {
  switch (code) {
    case 0x22: // "
    case 0x28: // (
    case 0x2c: // ,
    case 0x2e: // .
    case 0x3a: // :
    case 0x3b: // ;
    case 0x3c: // <
    case 0x3e: // >
    case 0x40: // @
    case 0x5b: // [
      return true
  }
  return code <= 32
}
