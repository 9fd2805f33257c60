/** A cursor over one command's text and literals: the terminals of RFC 9051 §9. Commands build their grammar from it. */
import { isUtf8 } from 'node:buffer'
import type { FlagChange, Keyword, ModSeq } from '../../mailstore/types.ts'
import { eightBitText } from '../../message/headers.ts'
import { parseDateTime, parseSearchDate } from './dates.ts'
import { keywordOf } from './flags.ts'
import { decodeModifiedUtf7 } from './modified-utf7.ts'
import type { Literal, Pieces } from './reader.ts'
import { type MessageSet, parseSequenceSet } from './sequence-set.ts'

/** The command is not what the grammar says: tagged BAD. `text` is told to the client. */
export class BadCommand extends Error {
  override name = 'BadCommand'
}

const MAX_LIST = 20_000
const MAX_KEYWORD = 128

export class CommandInput {
  /** Set by the UID prefix: message sets hold UIDs. */
  numbering: MessageSet['numbering'] = 'sequence'
  /** Mailbox names come in UTF-8, not in modified UTF-7 (ENABLE UTF8=ACCEPT or IMAP4rev2). */
  readonly utf8: boolean
  readonly #pieces: Pieces
  #piece = 0
  #text: string
  #at = 0

  constructor(pieces: Pieces, options: { utf8?: boolean } = {}) {
    this.#pieces = pieces
    this.utf8 = options.utf8 ?? false
    this.#text = typeof pieces[0] === 'string' ? pieces[0] : ''
  }

  /** The next character; '' where a literal stands or the command ends. */
  peek(): string {
    return this.#text[this.#at] ?? ''
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length && this.#piece >= this.#pieces.length - 1
  }

  end(): void {
    if (!this.atEnd()) throw new BadCommand('Unexpected text after the arguments')
  }

  take(char: string): boolean {
    if (this.peek() !== char || char === '') return false
    this.#at++
    return true
  }

  expect(char: string): void {
    if (!this.take(char)) throw new BadCommand(char === ' ' ? 'Missing argument' : `Expected ${char}`)
  }

  space(): void {
    this.expect(' ')
    while (this.take(' ')); // more than the grammar has, and harmless
  }

  /** Matches a pattern (sticky) here; undefined leaves the cursor where it is. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (!match) return undefined
    this.#at += match[0].length
    return match[0]
  }

  /** A keyword of the grammar, in upper case. */
  word(): string {
    const word = this.match(/[A-Za-z0-9][A-Za-z0-9.=+_-]*/y)
    if (word === undefined) throw new BadCommand('Expected a keyword')
    return word.toUpperCase()
  }

  atom(): string {
    const atom = this.match(/[^\x00-\x20\x7f-\xff(){%*"\\\]]+/y)
    if (atom === undefined) throw new BadCommand('Expected an atom')
    return atom
  }

  /** astring, decoded as UTF-8 when valid. */
  astring(): string {
    const atom = this.match(/[^\x00-\x20\x7f(){%*"\\]+/y)
    return atom === undefined ? this.string() : eightBitText(atom)
  }

  /** string: quoted or literal, decoded as UTF-8 when valid. */
  string(): string {
    if (this.peek() === '"') return eightBitText(this.#quoted())
    const { bytes } = this.literal()
    if (bytes.includes(0)) throw new BadCommand('NUL in a string') // RFC 9051 §9: CHAR8 is %x01-ff
    return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1')
  }

  /** nstring. */
  nstring(): string | null {
    if (/^nil$/i.test(this.#text.slice(this.#at, this.#at + 3))) {
      this.#at += 3
      return null
    }
    return this.string()
  }

  /** The bytes of a literal. */
  literal(): Literal {
    const next = this.#pieces[this.#piece + 1]
    const after = this.#pieces[this.#piece + 2]
    if (this.#at < this.#text.length || typeof next !== 'object' || typeof after !== 'string') {
      throw new BadCommand('Expected a string')
    }
    this.#piece += 2
    this.#text = after
    this.#at = 0
    return next
  }

  #quoted(): string {
    this.expect('"')
    let value = ''
    for (;;) {
      const run = this.match(/[^"\\\r\n\0]+/y)
      if (run !== undefined) value += run
      else if (this.take('"')) return value
      else if (this.take('\\')) {
        const char = this.peek()
        if (char !== '"' && char !== '\\') throw new BadCommand('Bad escape in a quoted string')
        this.#at++
        value += char
      } else throw new BadCommand('Quoted string is not closed')
    }
  }

  /** A mailbox name with '/' between its levels; INBOX in any case is INBOX. */
  mailbox(): string {
    return this.#mailboxName(this.astring())
  }

  /** list-mailbox: a name or pattern with % and *. */
  mailboxPattern(): string {
    const text = this.match(/[^\x00-\x20\x7f(){"\\]+/y)
    return this.#mailboxName(text === undefined ? this.string() : eightBitText(text))
  }

  #mailboxName(text: string): string {
    const name = this.utf8 ? text : decodeModifiedUtf7(text)
    if (name.includes('\0') || name.length > 5000) throw new BadCommand('Bad mailbox name')
    return name.replace(/^inbox(?=\/|$)/i, 'INBOX')
  }

  number(): number {
    const digits = this.match(/\d{1,10}/y)
    if (digits === undefined || Number(digits) > 0xffffffff) throw new BadCommand('Expected a number')
    return Number(digits)
  }

  /** number64, and MODSEQ values. Beyond 2^53 nothing of ours exists, so that rounding there changes nothing. */
  number64(): ModSeq {
    const digits = this.match(/\d{1,19}/y)
    if (digits === undefined) throw new BadCommand('Expected a number')
    return Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
  }

  /** "(" item *(SP item) ")"; may be empty. */
  list<Item>(item: () => Item): Item[] {
    this.expect('(')
    const items: Item[] = []
    if (this.take(')')) return items
    do {
      while (this.take(' '));
      items.push(item())
      if (items.length > MAX_LIST) throw new BadCommand('List too long')
    } while (this.peek() === ' ')
    this.expect(')')
    return items
  }

  /** Sequence numbers, or UIDs after the UID prefix. */
  messageSet(): MessageSet {
    const text = this.match(/[0-9*:,]+|\$/y)
    const set = text === undefined ? undefined : parseSequenceSet(text)
    if (!set) throw new BadCommand('Bad message set')
    return { numbering: this.numbering, set }
  }

  flag(): Keyword {
    const backslash = this.take('\\') ? '\\' : ''
    const flag = backslash + this.atom()
    const keyword = keywordOf(flag)
    if (keyword === undefined || keyword.length > MAX_KEYWORD) throw new BadCommand(`Bad flag`)
    return keyword
  }

  flags(): Keyword[] {
    return this.list(() => this.flag())
  }

  /** [+|-]FLAGS[.SILENT] SP flags, with or without parentheses (RFC 9051 §9 store-att-flags). */
  flagChange(): FlagChange & { silent: boolean } {
    const match = /^([+-]?)FLAGS(\.SILENT)?$/.exec((this.match(/[+-]?[A-Za-z.]+/y) ?? '').toUpperCase())
    if (!match) throw new BadCommand('Expected FLAGS, +FLAGS or -FLAGS')
    const op = match[1] === '+' ? 'add' : match[1] === '-' ? 'remove' : 'replace'
    this.space()
    const keywords: Keyword[] = []
    if (this.peek() === '(') keywords.push(...this.flags())
    else {
      do {
        keywords.push(this.flag())
      } while (this.take(' '))
    }
    return { op, silent: match[2] !== undefined, keywords: [...new Set(keywords)] }
  }

  /** date, quoted or not. */
  date(): Date {
    const date = parseSearchDate(this.astring())
    if (!date) throw new BadCommand('Bad date')
    return date
  }

  /** date-time, quoted. */
  dateTime(): Date {
    const date = parseDateTime(this.string())
    if (!date) throw new BadCommand('Bad date-time')
    return date
  }
}
