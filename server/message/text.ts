/** Readable text of a message: for search, and the preview of a list. */
import { partTextPrefix } from './decode.ts'
import { htmlToText } from './html.ts'
import type { MimePart } from './types.ts'

/** RFC 8621 §4.1.4. */
const PREVIEW_CHARACTERS = 256

/**
 * Text of the message for search: its text parts (of an alternative: the plain one when there is one), embedded messages'
 * too, attachments' not.
 * @param maxChars at most about this many characters, and only so much is decoded
 */
export function extractText(raw: Buffer, structure: MimePart, maxChars: number): string {
  const texts: string[] = []
  let left = maxChars
  for (const part of textParts(structure)) {
    if (left <= 0) break
    const text = readableText(raw, part, left).slice(0, left)
    texts.push(text)
    left -= text.length + 1
  }
  return texts.join('\n').replaceAll('\0', ' ').normalize('NFC')
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
