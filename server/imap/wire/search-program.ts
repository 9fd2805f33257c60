/** SEARCH's keys: RFC 9051 §6.4.4, RFC 3501's, RFC 5032 (YOUNGER, OLDER), RFC 7162 (MODSEQ), RFC 8474 (EMAILID, THREADID). */
import type { EmailFilter } from '../../mailstore/types.ts'
import { dayAfter } from './dates.ts'
import { keywordOf } from './flags.ts'
import { BadCommand, type CommandInput } from './input.ts'
import { type MessageSet, parseSequenceSet, type SequenceSet } from './sequence-set.ts'

/** A filter whose message sets wait for the selected mailbox to say which UIDs they are. */
export type SearchKey =
  | { and: SearchKey[] }
  | { or: [SearchKey, SearchKey] }
  | { not: SearchKey }
  | { messages: MessageSet }
  | { filter: EmailFilter }

export interface SearchProgram {
  key: SearchKey
  /** MODSEQ was among the keys: the answer tells the highest (RFC 7162 §3.1.5). */
  wantsModSeq: boolean
}

const MAX_DEPTH = 50
const MAX_KEYS = 2000

/** @param now for YOUNGER and OLDER */
export function parseSearchProgram(input: CommandInput, now: Date): SearchProgram {
  const parser = new SearchParser(input, now)
  const keys = [parser.key(0)]
  while (input.take(' ')) keys.push(parser.key(0))
  return { key: all(keys), wantsModSeq: parser.wantsModSeq }
}

const all = (keys: SearchKey[]): SearchKey => (keys.length === 1 && keys[0] ? keys[0] : { and: keys })
const has = (keyword: string): SearchKey => ({ filter: { hasKeyword: keyword } })
const not = (key: SearchKey): SearchKey => ({ not: key })
const everything: SearchKey = { filter: { all: true } }

class SearchParser {
  readonly input: CommandInput
  readonly now: Date
  wantsModSeq = false
  keys = 0

  constructor(input: CommandInput, now: Date) {
    this.input = input
    this.now = now
  }

  key(depth: number): SearchKey {
    if (depth > MAX_DEPTH || ++this.keys > MAX_KEYS) throw new BadCommand('Search too complex')
    const { input } = this
    if (input.peek() === '(') return all(nonEmpty(input.list(() => this.key(depth + 1))))
    const set = input.match(/[0-9*][0-9*:,]*|\$/y)
    if (set !== undefined) return { messages: { numbering: 'sequence', set: sequenceSet(set) } }
    const name = input.word()
    const flag = this.#flag(name)
    if (flag) return flag
    switch (name) {
      case 'NOT':
        input.space()
        return not(this.key(depth + 1))
      case 'OR': {
        input.space()
        const left = this.key(depth + 1)
        input.space()
        return { or: [left, this.key(depth + 1)] }
      }
    }
    input.space()
    return this.#withArgument(name)
  }

  #flag(name: string): SearchKey | undefined {
    switch (name) {
      case 'ALL':
      case 'OLD': // no message is \Recent here
        return everything
      case 'NEW':
      case 'RECENT':
        return not(everything)
      case 'ANSWERED':
      case 'DELETED':
      case 'DRAFT':
      case 'FLAGGED':
      case 'SEEN':
        return has(`$${name.toLowerCase()}`)
      case 'UNANSWERED':
      case 'UNDELETED':
      case 'UNDRAFT':
      case 'UNFLAGGED':
      case 'UNSEEN':
        return not(has(`$${name.slice(2).toLowerCase()}`))
    }
    return undefined
  }

  #withArgument(name: string): SearchKey {
    const { input } = this
    const filter = (filter: EmailFilter): SearchKey => ({ filter })
    switch (name) {
      case 'KEYWORD':
      case 'UNKEYWORD': {
        const keyword = has(keywordOf(input.atom()) ?? '')
        return name === 'KEYWORD' ? keyword : not(keyword)
      }
      case 'FROM':
        return this.#field('from', (from) => ({ from }))
      case 'TO':
        return this.#field('to', (to) => ({ to }))
      case 'CC':
        return this.#field('cc', (cc) => ({ cc }))
      case 'BCC':
        return this.#field('bcc', (bcc) => ({ bcc }))
      case 'SUBJECT':
        return this.#field('subject', (subject) => ({ subject }))
      case 'BODY':
        return filter({ body: input.astring() })
      case 'TEXT':
        return filter({ text: input.astring() })
      case 'HEADER': {
        const header = input.astring()
        input.space()
        return filter({ header: header.toLowerCase(), contains: input.astring() })
      }
      case 'LARGER':
        return filter({ largerThan: this.#size() })
      case 'SMALLER':
        return filter({ smallerThan: this.#size() })
      case 'BEFORE':
        return filter({ receivedBefore: input.date() })
      case 'SINCE':
        return filter({ receivedSince: input.date() })
      case 'ON': {
        const day = input.date()
        return { and: [filter({ receivedSince: day }), filter({ receivedBefore: dayAfter(day) })] }
      }
      case 'SENTBEFORE':
        return filter({ sentBefore: input.date() })
      case 'SENTSINCE':
        return filter({ sentSince: input.date() })
      case 'SENTON': {
        const day = input.date()
        return { and: [filter({ sentSince: day }), filter({ sentBefore: dayAfter(day) })] }
      }
      case 'YOUNGER':
        return filter({ receivedSince: this.#ago(input.number()) })
      case 'OLDER':
        return filter({ receivedBefore: this.#ago(input.number()) })
      case 'UID':
        return { messages: { numbering: 'uid', set: sequenceSet(input.match(/[0-9*:,]+|\$/y) ?? '') } }
      case 'MODSEQ':
        this.wantsModSeq = true
        if (input.peek() === '"') {
          input.string() // RFC 7162 §3.1.5: entry name and type, which mean nothing where all flags share one MODSEQ
          input.space()
          input.word()
          input.space()
        }
        return filter({ modSeqAtLeast: input.number64() })
      case 'EMAILID':
        return filter({ emailId: input.atom() })
      case 'THREADID':
        return filter({ threadId: input.atom() })
    }
    throw new BadCommand('Unknown search key')
  }

  /** The empty string is in every message that has the field, as with HEADER. */
  #field(header: string, contains: (text: string) => EmailFilter): SearchKey {
    const text = this.input.astring()
    return { filter: text === '' ? { header, contains: '' } : contains(text) }
  }

  /** No message is near this size: more says nothing more, and the store counts no further. */
  #size(): number {
    return Math.min(this.input.number64(), 0x7fffffff)
  }

  #ago(seconds: number): Date {
    return new Date(this.now.getTime() - seconds * 1000)
  }
}

function sequenceSet(text: string): SequenceSet {
  const set = parseSequenceSet(text)
  if (!set) throw new BadCommand('Bad message set')
  return set
}

function nonEmpty(keys: SearchKey[]): SearchKey[] {
  if (keys.length === 0) throw new BadCommand('Empty search list')
  return keys
}
