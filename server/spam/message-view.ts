/** A message as rules look at it: header fields by name, text as a reader sees it, text as written, addresses of links. */
import { addressText, namedAddresses, parseAddresses } from '../message/addresses.ts'
import { partTextPrefix } from '../message/decode.ts'
import { humanText } from '../message/encoded-words.ts'
import { eightBitText, type HeaderField, unfold } from '../message/headers.ts'
import { htmlToText } from '../message/html.ts'
import { type ParseLimits, parseStructure } from '../message/structure.ts'
import type { MimePart } from '../message/types.ts'
import type { HeaderPart } from './rule-language.ts'

export interface MessageView {
  /** Values of a field (lower-case name) or a pseudo-field, joined by line feeds; undefined when there is none. */
  header(field: string, part: HeaderPart): string | undefined
  fields: readonly HeaderField[]
  root: MimePart
  /** Subject, then paragraphs without markup, white space collapsed; pieces of at most PIECE_CHARS. */
  body: readonly string[]
  /** Text parts decoded, markup and lines kept; pieces of at most PIECE_CHARS. */
  rawbody: readonly string[]
  /** The beginning of the message as it came, each byte a character. */
  full: string
  /** Links in text and HTML. */
  uris: readonly string[]
}

/** What an expression is given at a time. Text beyond TEXT_CHARS is not looked at: spam is short. */
const PIECE_CHARS = 4096
const TEXT_CHARS = 262_144
const FULL_BYTES = 262_144
const MAX_URIS = 500
const HEADER_CHARS = 65_536

const PSEUDO: Record<string, string[]> = {
  tocc: ['to', 'cc'],
  messageid: ['message-id', 'resent-message-id', 'x-message-id'],
}

export function viewMessage(raw: Buffer, limits: ParseLimits, reversePath: string): MessageView {
  const { root, fields } = parseStructure(raw, limits)
  const texts: { text: string; html: boolean }[] = []
  let left = TEXT_CHARS
  for (const part of textParts(root)) {
    if (left <= 0) break
    const text = partTextPrefix(raw, part, left).slice(0, left)
    texts.push({ text, html: part.subtype === 'html' })
    left -= text.length
  }
  const byName = Map.groupBy(fields, ({ name }) => name.toLowerCase())
  const known = new Map<string, string | undefined>() // many rules ask for the same few
  const header = (field: string, part: HeaderPart): string | undefined => {
    const key = `${field}:${part}`
    if (!known.has(key)) known.set(key, headerText(field, part))
    return known.get(key)
  }
  const headerText = (field: string, part: HeaderPart): string | undefined => {
    if (field === 'envelopefrom') return reversePath
    if (field === 'all' || field === 'all-external')
      return fields
        .map(({ name, value }) => `${name}:${part === 'raw' ? value : ` ${humanText(unfold(value))}`}\n`)
        .join('')
        .slice(0, HEADER_CHARS)
    const found = (PSEUDO[field] ?? [field]).flatMap((name) => byName.get(name) ?? [])
    if (found.length === 0) return undefined
    return found
      .map(({ value }) => headerPart(value, part))
      .join('\n')
      .slice(0, HEADER_CHARS)
  }
  return {
    header,
    fields,
    root,
    body: bodyPieces(header('subject', 'text'), texts),
    rawbody: texts.flatMap(({ text }) => pieces(text.replace(/\r\n/g, '\n'))),
    full: raw.toString('latin1', 0, FULL_BYTES),
    uris: urisOf(texts),
  }
}

function headerPart(value: string, part: HeaderPart): string {
  if (part === 'raw') return value.replace(/^[ \t]/, '')
  if (part === 'text') return humanText(unfold(eightBitText(value)))
  const addresses = parseAddresses(unfold(value))
  const first = addresses.find((address) => address.kind === 'mailbox')
  if (!first) return ''
  if (part === 'addr') return addressText(first.local, first.domain)
  return namedAddresses([first])[0]?.name ?? ''
}

function* textParts(part: MimePart): Generator<MimePart> {
  if (part.type === 'text' && part.disposition !== 'attachment') yield part
  for (const child of part.parts ?? []) yield* textParts(child)
}

function bodyPieces(subject: string | undefined, texts: { text: string; html: boolean }[]): string[] {
  const paragraphs = [subject ?? '']
  for (const { text, html } of texts) {
    const plain = html ? htmlToText(text, TEXT_CHARS) : text.replace(/\r\n?/g, '\n')
    paragraphs.push(...plain.split(/\n\s*\n/))
  }
  return paragraphs
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '')
    .flatMap(pieces)
}

/** Cut at white space where there is some near. */
function pieces(text: string): string[] {
  const all: string[] = []
  let from = 0
  while (text.length - from > PIECE_CHARS) {
    const space = text.lastIndexOf(text.includes('\n') ? '\n' : ' ', from + PIECE_CHARS)
    const end = space > from + PIECE_CHARS / 2 ? space + 1 : from + PIECE_CHARS
    all.push(text.slice(from, end))
    from = end
  }
  all.push(text.slice(from))
  return all
}

const LINK =
  /\b(?:https?|ftp):\/\/[^\s<>"'\\^`{|}]{1,2000}|\bmailto:[^\s<>"']{1,500}|\bwww\.[a-z0-9-][^\s<>"']{1,500}/gi
const ATTRIBUTE =
  /\b(?:href|src|action|background)\s{0,5}=\s{0,5}(?:"([^"]{1,2000})"|'([^']{1,2000})'|([^\s>"']{1,2000}))/gi

function urisOf(texts: { text: string; html: boolean }[]): string[] {
  const uris = new Set<string>()
  const add = (uri: string): void => {
    if (uris.size < MAX_URIS) uris.add(/^www\./i.test(uri) ? `http://${uri}` : uri)
  }
  for (const { text, html } of texts) {
    if (html)
      for (const match of text.matchAll(ATTRIBUTE))
        add((match[1] ?? match[2] ?? match[3] ?? '').replaceAll('&amp;', '&').trim())
    const plain = html ? text.replace(/<[^>]{0,5000}>/g, ' ') : text
    for (const [uri] of plain.matchAll(LINK)) add(uri.replace(/[.,;:!?)\]]+$/, ''))
  }
  return [...uris]
}
