/** What FETCH asks for: RFC 9051 §6.4.5, with RFC 3501's RFC822 items, RFC 7162, 8474 and 8970. */
import { BadCommand, type CommandInput } from './input.ts'

/** Part numbers, and what of the part. */
export interface Section {
  part: number[]
  /** undefined: the part's whole content. */
  text?: 'HEADER' | 'HEADER.FIELDS' | 'HEADER.FIELDS.NOT' | 'TEXT' | 'MIME'
  /** Of HEADER.FIELDS and HEADER.FIELDS.NOT, as written. */
  fields: string[]
}

export interface Partial {
  offset: number
  length: number
}

export type SimpleItem =
  | 'UID'
  | 'FLAGS'
  | 'INTERNALDATE'
  | 'RFC822.SIZE'
  | 'ENVELOPE'
  | 'BODY'
  | 'BODYSTRUCTURE'
  | 'MODSEQ'
  | 'EMAILID'
  | 'THREADID'
  | 'PREVIEW'

export type FetchItem =
  | { kind: 'simple'; name: SimpleItem }
  /** `label` is the item's name in the response, without partial. */
  | { kind: 'section'; label: string; section: Section; partial?: Partial; peek: boolean }
  | { kind: 'binary'; label: string; part: number[]; partial?: Partial; peek: boolean }
  | { kind: 'binarySize'; label: string; part: number[] }

const SIMPLE: ReadonlySet<string> = new Set<SimpleItem>([
  'UID',
  'FLAGS',
  'INTERNALDATE',
  'RFC822.SIZE',
  'ENVELOPE',
  'BODYSTRUCTURE',
  'MODSEQ',
  'EMAILID',
  'THREADID',
  'PREVIEW',
])
const isSimple = (name: string): name is SimpleItem => SIMPLE.has(name)

const MACROS: Record<string, SimpleItem[]> = {
  ALL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'],
  FAST: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'],
  FULL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY'],
}
const WHOLE: Section = { part: [], fields: [] }

/** A macro, one item, or a list of items. */
export function parseFetchItems(input: CommandInput): FetchItem[] {
  if (input.peek() === '(') return input.list(() => fetchItem(input))
  const macro = input.match(/(?:ALL|FAST|FULL)(?![A-Za-z0-9.[])/iy)
  if (macro) return (MACROS[macro.toUpperCase()] ?? []).map((name) => ({ kind: 'simple', name }))
  return [fetchItem(input)]
}

function fetchItem(input: CommandInput): FetchItem {
  const name = input.word()
  switch (name) {
    case 'BODY':
    case 'BODY.PEEK': {
      if (input.peek() !== '[') {
        if (name === 'BODY') return { kind: 'simple', name: 'BODY' }
        throw new BadCommand('BODY.PEEK wants a section')
      }
      const section = parseSection(input)
      const partial = parsePartial(input)
      const label = `BODY[${sectionText(section)}]`
      return { kind: 'section', label, section, peek: name === 'BODY.PEEK', ...(partial && { partial }) }
    }
    case 'RFC822':
      return { kind: 'section', label: name, section: WHOLE, peek: false }
    case 'RFC822.HEADER':
      return { kind: 'section', label: name, section: { part: [], text: 'HEADER', fields: [] }, peek: true }
    case 'RFC822.TEXT':
      return { kind: 'section', label: name, section: { part: [], text: 'TEXT', fields: [] }, peek: false }
    case 'BINARY':
    case 'BINARY.PEEK': {
      const part = parseBinaryPart(input)
      const partial = parsePartial(input)
      const label = `BINARY[${part.join('.')}]`
      return { kind: 'binary', label, part, peek: name === 'BINARY.PEEK', ...(partial && { partial }) }
    }
    case 'BINARY.SIZE': {
      const part = parseBinaryPart(input)
      return { kind: 'binarySize', label: `BINARY.SIZE[${part.join('.')}]`, part }
    }
    case 'PREVIEW': // RFC 8970 §3.1: (LAZY); ours are always at hand
      if (input.match(/ \(LAZY\)/iy)) return { kind: 'simple', name }
  }
  if (isSimple(name)) return { kind: 'simple', name }
  throw new BadCommand(`Unknown FETCH item`)
}

const PART = /(?:[1-9]\d{0,8})(?:\.[1-9]\d{0,8}){0,60}/y
const partNumbers = (text: string | undefined) => text?.split('.').map(Number) ?? []

function parseSection(input: CommandInput): Section {
  input.expect('[')
  const part = partNumbers(input.match(PART))
  if (input.take(']')) return { part, fields: [] }
  if (part.length > 0) input.expect('.')
  const text = input.word()
  const section: Section = { part, fields: [] }
  if (text === 'HEADER' || text === 'TEXT') section.text = text
  else if (text === 'MIME' && part.length > 0) section.text = text
  else if (text === 'HEADER.FIELDS' || text === 'HEADER.FIELDS.NOT') {
    section.text = text
    input.space()
    section.fields = input.list(() => input.astring())
    if (section.fields.length === 0) throw new BadCommand('Empty list of header fields')
  } else throw new BadCommand('Bad section')
  input.expect(']')
  return section
}

function parseBinaryPart(input: CommandInput): number[] {
  input.expect('[')
  const part = partNumbers(input.match(PART))
  input.expect(']')
  return part
}

function parsePartial(input: CommandInput): Partial | undefined {
  if (!input.take('<')) return undefined
  const offset = input.number()
  input.expect('.')
  const length = input.number()
  input.expect('>')
  if (length === 0) throw new BadCommand('Partial of no length')
  return { offset, length }
}

function sectionText({ part, text, fields }: Section): string {
  const names = fields.map((field) =>
    /^[!#$&'+,\-./0-9;<=>?@A-Z^_`a-z|~]+$/.test(field) ? field : `"${quote(field)}"`,
  )
  const what = text === undefined ? [] : [fields.length > 0 ? `${text} (${names.join(' ')})` : text]
  return [...part, ...what].join('.')
}

const quote = (field: string) => field.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')
