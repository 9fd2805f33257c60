/** EmailBodyPart (RFC 8621 §4.1.4) from the parsed MIME structure. Pure. */
import { type HeaderField, headerFields } from '../../message/headers.ts'
import type { MimePart } from '../../message/types.ts'
import { jmapBlobId } from '../wire/ids.ts'
import { type HeaderProperty, headerValue, parseHeaderProperty } from './header-forms.ts'

export const DEFAULT_BODY_PROPERTIES = [
  'partId',
  'blobId',
  'size',
  'name',
  'type',
  'charset',
  'disposition',
  'cid',
  'language',
  'location',
]
const BODY_PROPERTIES = new Set([...DEFAULT_BODY_PROPERTIES, 'headers', 'subParts'])

/** What is asked of each part. */
export interface BodyPlan {
  properties: string[]
  headers: [property: string, parsed: HeaderProperty][]
  /** Header fields of parts are not in the index: the message has to be read. */
  needsRaw: boolean
}

/** @returns the unknown properties instead, when there are any */
export function planBody(properties: readonly string[]): BodyPlan | { unknown: string[] } {
  const unknown: string[] = []
  const headers: BodyPlan['headers'] = []
  for (const property of properties) {
    const header = property.startsWith('header:') ? parseHeaderProperty(property) : undefined
    if (header) headers.push([property, header])
    else if (!BODY_PROPERTIES.has(property)) unknown.push(property)
  }
  if (unknown.length > 0) return { unknown }
  return { properties: [...properties], headers, needsRaw: headers.length > 0 || properties.includes('headers') }
}

export interface BodySource {
  blobHash: string
  /** Part number prefix of an embedded message that is looked at on its own (Email/parse of a part). */
  raw: Buffer | undefined
}

export type BodyPart = Record<string, unknown>

/** One part with the asked properties; a multipart's `subParts` only for bodyStructure, where they are always there. */
export function bodyPart(part: MimePart, plan: BodyPlan, source: BodySource, withSubParts: boolean): BodyPart {
  const isMultipart = part.type === 'multipart'
  const shown: BodyPart = {}
  const fields = plan.needsRaw && source.raw ? partFields(part, source.raw) : []
  for (const property of plan.properties) {
    if (property === 'subParts' || property.startsWith('header:')) continue
    shown[property] =
      property === 'headers' ? fields.map(({ name, value }) => ({ name, value })) : value(part, property, source)
  }
  for (const [property, parsed] of plan.headers) shown[property] = headerValue(fields, parsed)
  if (plan.properties.includes('subParts')) shown.subParts = null
  if (withSubParts && isMultipart)
    shown.subParts = (part.parts ?? []).map((child) => bodyPart(child, plan, source, true))
  return shown
}

/** IMAP gives a message without multiparts the number '1' for its only part, whose header is the message's. */
export function partFields(part: MimePart, raw: Buffer): HeaderField[] {
  return headerFields(raw, part.headerStart, part.bodyStart)
}

export const partIdOf = (part: MimePart) => part.number || '1'

function value(part: MimePart, property: string, source: BodySource): unknown {
  const isMultipart = part.type === 'multipart'
  switch (property) {
    case 'partId':
      return isMultipart ? null : partIdOf(part)
    case 'blobId':
      return isMultipart ? null : jmapBlobId(source.blobHash, partIdOf(part))
    case 'size':
      return isMultipart ? 0 : part.decodedSize
    case 'name':
      return part.name
    case 'type':
      return `${part.type}/${part.subtype}`
    case 'charset':
      return part.type === 'text' ? (part.parameters.charset ?? 'us-ascii') : null
    case 'disposition':
      return part.disposition
    case 'cid':
      return part.contentId?.trim().replace(/^<(.*)>$/s, '$1') ?? null
    case 'language':
      return part.language.length > 0 ? part.language : null
    case 'location':
      return part.location
    default:
      return null
  }
}

export interface BodyLists {
  textBody: MimePart[]
  htmlBody: MimePart[]
  attachments: MimePart[]
}

/** The algorithm of RFC 8621 §4.1.4, which says what a reader shows as body and what as attachments. */
export function bodyLists(root: MimePart): BodyLists {
  const lists: BodyLists = { textBody: [], htmlBody: [], attachments: [] }
  walk([root], 'mixed', false, lists.htmlBody, lists.textBody, lists.attachments)
  return lists
}

const isInlineMedia = (part: MimePart) => part.type === 'image' || part.type === 'audio' || part.type === 'video'

function walk(
  parts: readonly MimePart[],
  multipartType: string,
  inAlternative: boolean,
  htmlBody: MimePart[] | undefined,
  textBody: MimePart[] | undefined,
  attachments: MimePart[],
): void {
  const textLength = textBody?.length ?? -1
  const htmlLength = htmlBody?.length ?? -1
  for (const [index, part] of parts.entries()) {
    const isText = part.type === 'text' && (part.subtype === 'plain' || part.subtype === 'html')
    const isInline =
      part.disposition !== 'attachment' &&
      (isText || isInlineMedia(part)) &&
      // Beside the first part, a text with a name is a file; in related, so is whatever is not the root.
      (index === 0 || (multipartType !== 'related' && (isInlineMedia(part) || part.name === null)))
    if (part.type === 'multipart') {
      walk(
        part.parts ?? [],
        part.subtype,
        inAlternative || part.subtype === 'alternative',
        htmlBody,
        textBody,
        attachments,
      )
    } else if (!isInline) attachments.push(part)
    else if (multipartType === 'alternative') {
      if (part.type === 'text' && part.subtype === 'plain') textBody?.push(part)
      else if (part.type === 'text' && part.subtype === 'html') htmlBody?.push(part)
      else attachments.push(part)
    } else {
      if (inAlternative) {
        if (part.type === 'text' && part.subtype === 'plain') htmlBody = undefined
        if (part.type === 'text' && part.subtype === 'html') textBody = undefined
      }
      textBody?.push(part)
      htmlBody?.push(part)
      if ((!textBody || !htmlBody) && isInlineMedia(part)) attachments.push(part)
    }
  }
  if (multipartType === 'alternative' && textBody && htmlBody) {
    // Only one of the two was found: it serves as the other too.
    if (textLength === textBody.length && htmlLength !== htmlBody.length) textBody.push(...htmlBody.slice(htmlLength))
    if (htmlLength === htmlBody.length && textLength !== textBody.length) htmlBody.push(...textBody.slice(textLength))
  }
}
