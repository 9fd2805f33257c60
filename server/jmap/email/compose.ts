/** The message that Email/set's create describes (RFC 8621 §4.6). */
import { randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { invalidProperties, ObjectRefused } from '../wire/errors.ts'
import { type HeaderProperty, parseHeaderProperty } from './header-forms.ts'
import { writeDate, writeField } from './header-writer.ts'
import { type PartToWrite, writePart } from './mime-writer.ts'

export interface ComposeDeps {
  /** Bytes of a blob of this account. @returns undefined when there is none */
  readBlob: (blobId: string) => Promise<{ bytes: Buffer; type?: string | undefined } | undefined>
  /** For Message-ID. */
  hostname: string
  now: Date
  maxBytes: number
}

/** The convenience properties and the fields they stand for (RFC 8621 §4.1.3), in the order they are written. */
const FIELDS: Record<string, Pick<HeaderProperty, 'field' | 'form'>> = {
  sentAt: { field: 'Date', form: 'Date' },
  from: { field: 'From', form: 'Addresses' },
  sender: { field: 'Sender', form: 'Addresses' },
  replyTo: { field: 'Reply-To', form: 'Addresses' },
  to: { field: 'To', form: 'Addresses' },
  cc: { field: 'Cc', form: 'Addresses' },
  bcc: { field: 'Bcc', form: 'Addresses' },
  subject: { field: 'Subject', form: 'Text' },
  messageId: { field: 'Message-ID', form: 'MessageIds' },
  inReplyTo: { field: 'In-Reply-To', form: 'MessageIds' },
  references: { field: 'References', form: 'MessageIds' },
}
const BODY = new Set(['bodyStructure', 'bodyValues', 'textBody', 'htmlBody', 'attachments'])
const METADATA = new Set(['mailboxIds', 'keywords', 'receivedAt'])
const MAX_PARTS = 500
const MAX_DEPTH = 20

const bodyValueSchema = z.strictObject({
  value: z.string(),
  isEncodingProblem: z.literal(false).optional(),
  isTruncated: z.literal(false).optional(),
})
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const oneLine = /^[^\r\n\0]*$/
const partSchema = z.looseObject({
  partId: z.string().nullish(),
  blobId: z.string().nullish(),
  size: z.number().nullish(),
  type: z
    .string()
    .regex(/^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/, 'is no media type')
    .nullish(),
  charset: z.string().regex(token).nullish(),
  name: z.string().max(1000).nullish(),
  disposition: z.string().regex(token).nullish(),
  cid: z
    .string()
    .regex(/^[^\s<>]{1,500}$/)
    .nullish(),
  language: z.array(z.string().regex(token)).max(20).nullish(),
  location: z.string().max(1000).regex(oneLine).nullish(),
  subParts: z.array(z.unknown()).max(MAX_PARTS).nullish(),
})
const PART_PROPERTIES = new Set(Object.keys(partSchema.shape))

/**
 * Writes the whole message.
 * @param email the create object; its metadata (mailboxIds, keywords, receivedAt) is the caller's
 * @throws ObjectRefused invalidProperties, blobNotFound (with notFound), tooLarge
 */
export async function composeEmail(email: Record<string, unknown>, deps: ComposeDeps): Promise<Buffer> {
  const composer = new Composer(email, deps)
  const body = await composer.root()
  const header = writeHeader(email, fieldNames(body.fields), deps)
  if (composer.missing.length > 0) throw new ObjectRefused({ type: 'blobNotFound', notFound: composer.missing })
  const boundary = () => `=_${randomBytes(18).toString('base64url')}` // '=_' never occurs in quoted-printable or base64
  const raw = Buffer.concat([Buffer.from(header), writePart(body, boundary)])
  if (raw.length > deps.maxBytes) throw new ObjectRefused({ type: 'tooLarge', maxSize: deps.maxBytes })
  return raw
}

/** @param ofBody fields that the root part has: a message has one header, and each field once (RFC 8621 §4.6) */
function writeHeader(
  email: Record<string, unknown>,
  ofBody: ReadonlySet<string>,
  { hostname, now }: ComposeDeps,
): string {
  const unknown: string[] = []
  const fields = new Map<string, string>()
  const add = (property: string, header: Pick<HeaderProperty, 'field' | 'form'>, written: string) => {
    const name = header.field.toLowerCase()
    if (fields.has(name) || ofBody.has(name))
      throw invalidProperties([property], `the field ${header.field} is given twice`)
    if (name.startsWith('content-')) throw invalidProperties([property], 'Content-* belongs to the body parts')
    fields.set(name, written)
  }
  for (const [property, header] of Object.entries(FIELDS)) {
    if (email[property] != null) add(property, header, writeField(property, header, email[property]))
  }
  for (const [property, value] of Object.entries(email)) {
    if (METADATA.has(property) || BODY.has(property) || Object.hasOwn(FIELDS, property)) continue
    const header = property.startsWith('header:') ? parseHeaderProperty(property) : undefined
    if (!header) unknown.push(property)
    else if (header.all) {
      if (!Array.isArray(value)) throw invalidProperties([property])
      add(property, header, value.map((one) => writeField(property, header, one)).join(''))
    } else if (value !== null) add(property, header, writeField(property, header, value))
  }
  if (unknown.length > 0) throw invalidProperties(unknown)
  const missing = (name: string) => !fields.has(name) && !ofBody.has(name)
  if (missing('message-id')) fields.set('message-id', `Message-ID: <${randomUUID()}@${hostname}>\r\n`)
  if (missing('date')) fields.set('date', `Date: ${writeDate(now.toISOString())}\r\n`)
  if (missing('mime-version')) fields.set('mime-version', 'MIME-Version: 1.0\r\n')
  return [...fields.values()].join('')
}

/** In lower case. */
const fieldNames = (fields: string): ReadonlySet<string> =>
  new Set([...fields.matchAll(/^([\x21-\x39\x3b-\x7e]+):/gm)].map(([, name = '']) => name.toLowerCase()))

class Composer {
  readonly missing: string[] = []
  readonly #email: Record<string, unknown>
  readonly #deps: ComposeDeps
  readonly #values: Record<string, unknown>
  #parts = 0
  #bytes = 0

  constructor(email: Record<string, unknown>, deps: ComposeDeps) {
    this.#email = email
    this.#deps = deps
    const values = email.bodyValues ?? {}
    if (typeof values !== 'object' || values === null || Array.isArray(values)) throw invalidProperties(['bodyValues'])
    this.#values = values as Record<string, unknown>
  }

  /** From bodyStructure, or from textBody, htmlBody and attachments. */
  async root(): Promise<PartToWrite> {
    const { bodyStructure, textBody, htmlBody, attachments } = this.#email
    const lists = { textBody, htmlBody, attachments }
    if (bodyStructure != null) {
      const both = Object.entries(lists)
        .filter(([, list]) => list != null)
        .map(([name]) => name)
      if (both.length > 0) throw invalidProperties(both, 'bodyStructure is given too')
      return this.#part(bodyStructure, 'bodyStructure', 0)
    }
    const text = await this.#list(textBody, 'textBody', 'text/plain')
    const html = await this.#list(htmlBody, 'htmlBody', 'text/html')
    const files = await this.#list(attachments, 'attachments', undefined, 'application/octet-stream')
    for (const file of files) file.disposition ??= 'attachment'
    return mixed(
      alternative(text[0], html[0], files),
      files.filter((file) => !isRelated(file, html[0])),
    )
  }

  async #list(list: unknown, property: string, type: string | undefined, defaultType = type): Promise<PartToWrite[]> {
    if (list == null) return []
    if (!Array.isArray(list)) throw invalidProperties([property])
    if (type && list.length !== 1) throw invalidProperties([property], 'must be one part')
    const parts: PartToWrite[] = []
    for (const [index, given] of list.entries()) {
      const part = await this.#part(given, `${property}/${index}`, 0, defaultType)
      if (type && part.type !== type) throw invalidProperties([`${property}/${index}/type`], `must be ${type}`)
      parts.push(part)
    }
    return parts
  }

  async #part(given: unknown, path: string, depth: number, defaultType = 'text/plain'): Promise<PartToWrite> {
    if (++this.#parts > MAX_PARTS || depth > MAX_DEPTH) throw invalidProperties([path], 'too many parts')
    const result = partSchema.safeParse(given)
    if (!result.success) {
      throw invalidProperties(
        result.error.issues.map((issue) => [path, ...issue.path].join('/')),
        result.error.issues[0]?.message,
      )
    }
    const part = result.data
    const subParts = part.subParts ?? undefined
    const type = (part.type ?? (subParts ? 'multipart/mixed' : defaultType)).toLowerCase()
    const isMultipart = type.startsWith('multipart/')
    if (isMultipart !== (subParts !== undefined)) throw invalidProperties([`${path}/subParts`])
    const { content, type: blobType } = isMultipart ? { content: Buffer.alloc(0) } : await this.#content(part, path)
    const parts: PartToWrite[] = []
    for (const [index, child] of (subParts ?? []).entries()) {
      parts.push(await this.#part(child, `${path}/subParts/${index}`, depth + 1))
    }
    const actualType = part.type == null && blobType && !subParts && part.blobId != null ? blobType : type
    return {
      type: actualType,
      // A value is ours to encode; of a blob we only know what the client says.
      charset: part.partId != null ? 'utf-8' : (part.charset ?? undefined),
      name: part.name ?? undefined,
      disposition: part.disposition ?? undefined,
      cid: part.cid ?? undefined,
      language: part.language ?? undefined,
      location: part.location ?? undefined,
      fields: partHeader(part, path),
      content,
      parts,
    }
  }

  async #content(
    part: z.output<typeof partSchema>,
    path: string,
  ): Promise<{ content: Buffer; type?: string | undefined }> {
    if ((part.partId == null) === (part.blobId == null))
      throw invalidProperties([path], 'needs partId or blobId, not both')
    if (part.partId != null) {
      const value = Object.hasOwn(this.#values, part.partId)
        ? bodyValueSchema.safeParse(this.#values[part.partId])
        : undefined
      if (!value?.success) throw invalidProperties([`bodyValues/${part.partId}`])
      if (part.charset != null) throw invalidProperties([`${path}/charset`], 'is ours to choose with partId')
      return { content: this.#counted(Buffer.from(value.data.value.replace(/\r?\n/g, '\r\n'))) }
    }
    const blobId = part.blobId ?? ''
    const blob = await this.#deps.readBlob(blobId)
    if (!blob) this.missing.push(blobId)
    return blob ? { content: this.#counted(blob.bytes), type: blob.type } : { content: Buffer.alloc(0) }
  }

  #counted(content: Buffer): Buffer {
    this.#bytes += content.length
    if (this.#bytes > this.#deps.maxBytes) throw new ObjectRefused({ type: 'tooLarge', maxSize: this.#deps.maxBytes })
    return content
  }
}

/** Properties of a part, and the fields that they become. */
const CONTENT_FIELDS = [
  ['type', 'content-type'],
  ['charset', 'content-type'],
  ['subParts', 'content-type'],
  ['disposition', 'content-disposition'],
  ['cid', 'content-id'],
  ['language', 'content-language'],
  ['location', 'content-location'],
] as const

function partHeader(part: Record<string, unknown>, path: string): string {
  let fields = ''
  const given = new Set<string>(CONTENT_FIELDS.filter(([property]) => part[property] != null).map(([, field]) => field))
  for (const [property, value] of Object.entries(part)) {
    if (PART_PROPERTIES.has(property)) continue
    const header = property.startsWith('header:') ? parseHeaderProperty(property) : undefined
    const name = header?.field.toLowerCase()
    if (!header || !name || name === 'content-transfer-encoding') throw invalidProperties([`${path}/${property}`])
    if (value === null) continue
    if (given.has(name)) throw invalidProperties([`${path}/${property}`], `the field ${header.field} is given twice`)
    given.add(name)
    fields += writeField(`${path}/${property}`, header, value)
  }
  return fields
}

const container = (type: string, parts: PartToWrite[]): PartToWrite => ({
  type,
  fields: '',
  content: Buffer.alloc(0),
  parts,
})
/** A picture inside the HTML text (RFC 2387). */
const isRelated = (file: PartToWrite, html: PartToWrite | undefined) =>
  html !== undefined && file.cid !== undefined && file.disposition === 'inline'

function alternative(
  text: PartToWrite | undefined,
  html: PartToWrite | undefined,
  files: PartToWrite[],
): PartToWrite | undefined {
  const related = files.filter((file) => isRelated(file, html))
  const page = html && related.length > 0 ? container('multipart/related', [html, ...related]) : html
  return text && page ? container('multipart/alternative', [text, page]) : (text ?? page)
}

function mixed(body: PartToWrite | undefined, files: PartToWrite[]): PartToWrite {
  const empty: PartToWrite = { type: 'text/plain', charset: 'utf-8', fields: '', content: Buffer.alloc(0), parts: [] }
  if (files.length === 0) return body ?? empty
  return container('multipart/mixed', [...(body ? [body] : []), ...files])
}
