/** Readable text of a message: for search, and the preview of a list. */
import { addressText } from './addresses.ts'
import { partTextPrefix } from './decode.ts'
import { humanText } from './encoded-words.ts'
import { htmlToText } from './html.ts'
import type { Envelope, MimePart } from './types.ts'

/** RFC 8621 §4.1.4. */
const PREVIEW_CHARACTERS = 256

/**
 * Text of the message for search: what a reader shows first (of an alternative the plain part, when there is one), then
 * file names, the headers of embedded messages, and attached text.
 * @param maxChars at most about this many characters, and only so much is decoded
 */
export function extractText(raw: Buffer, structure: MimePart, maxChars: number): string {
  const texts: string[] = []
  let left = maxChars
  const add = (text: string) => {
    texts.push(text.slice(0, left))
    left -= text.length + 1
    return left > 0
  }
  for (const part of textParts(structure)) if (!add(readableText(raw, part, left))) break
  for (const found of left > 0 ? attachedTexts(structure, false) : []) {
    if (!add(typeof found === 'string' ? found : readableText(raw, found, left))) break
  }
  return texts.join('\n').replaceAll('\0', ' ').normalize('NFC')
}

/** What `textParts` leaves out: names, headers of embedded messages, and the text parts of attachments. */
function* attachedTexts(part: MimePart, insideAttachment: boolean): Generator<string | MimePart> {
  const attached = insideAttachment || part.disposition === 'attachment'
  if (part.name !== null) yield part.name
  if (part.envelope) yield envelopeText(part.envelope)
  if (attached && part.type === 'text' && isReadable(part)) yield part
  for (const child of part.parts ?? []) yield* attachedTexts(child, attached)
}

function envelopeText({ subject, from, to, cc }: Envelope): string {
  const addresses = [...from, ...to, ...cc].map(([name, mailbox, host]) =>
    [name, host === null ? mailbox : addressText(mailbox ?? '', host)].filter((text) => text !== null).join(' '),
  )
  return [subject ?? '', ...addresses].map(humanText).join('\n')
}

/** The first characters of the first text part that has any, white space collapsed (RFC 8621 §4.1.4). */
export function previewOf(raw: Buffer, structure: MimePart): string {
  for (const part of textParts(structure)) {
    const text = readableText(raw, part, 1024)
      .slice(0, 1024)
      .replace(/(?:[\s\0-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]|\u034f)+/g, ' ')
      .trim()
    if (text !== '') return firstCharacters(text.normalize('NFC'), PREVIEW_CHARACTERS)
  }
  return ''
}

/** @param count Unicode characters, so that no surrogate pair is cut */
function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text
  return Array.from(text.slice(0, count * 2))
    .slice(0, count)
    .join('')
    .replace(/[\ud800-\udbff]$/, '')
}

function readableText(raw: Buffer, part: MimePart, maxChars: number): string {
  // A character of 4 bytes takes 12 in quoted-printable; HTML has far more markup than text.
  if (part.subtype !== 'html')
    return partTextPrefix(raw, part, maxChars * (part.encoding === 'quoted-printable' ? 12 : 6))
  return htmlToText(partTextPrefix(raw, part, 65_536 + maxChars * 20), maxChars)
}

/** Text parts in reading order. */
function* textParts(part: MimePart): Generator<MimePart> {
  if (part.disposition === 'attachment') return
  if (part.type === 'text') {
    if (isReadable(part)) yield part
  } else if (part.type === 'multipart' && part.subtype === 'alternative') {
    const alternatives = (part.parts ?? []).map((child) => [...textParts(child)]).filter((list) => list.length > 0)
    const plain = alternatives.find((list) => list.every((text) => text.subtype === 'plain' && text.decodedSize > 2))
    yield* plain ?? alternatives.at(-1) ?? []
  } else for (const child of part.parts ?? []) yield* textParts(child)
}

const isReadable = (part: MimePart) => !['calendar', 'css', 'javascript', 'x-vcard', 'vcard'].includes(part.subtype)

/** JMAP's hasAttachment (RFC 8621 §4.1.4): something a reader would show as a file, not a picture inside the text. */
export function hasAttachment(part: MimePart, parent?: MimePart): boolean {
  if (part.disposition === 'attachment') return true
  if (part.type === 'multipart') return (part.parts ?? []).some((child) => hasAttachment(child, part))
  if (part.type === 'text') return part.name !== null && part.disposition !== 'inline' && parent !== undefined
  if (parent?.subtype === 'related' && (part.contentId !== null || part.location !== null)) return false
  if (part.type === 'application' && /^(pgp-|pkcs7-|x-pkcs7-)/.test(part.subtype)) return false
  if (part.type === 'message' && parent?.subtype === 'report') return false // delivery-status, disposition-notification
  return part.type !== 'image' || part.contentId === null || part.disposition !== 'inline'
}
