/** The MIME structure of a message: RFC 2045, 2046. One pass over the bytes, whatever the nesting. */
import { type Address, envelopeAddresses, parseAddresses } from './addresses.ts'
import { decodedSize } from './decode.ts'
import { allValues, firstValue, type HeaderField, headerEnd, headerFields } from './headers.ts'
import { parseParameterized } from './parameters.ts'
import type { Envelope, MimePart } from './types.ts'

export interface ParseLimits {
  /** Nesting of multiparts and embedded messages; what is deeper stays one undivided part. */
  mimeDepth: number
  /** Parts in all; what comes later stays undivided. */
  mimeParts: number
  /** Of each header block, only this much is read for fields. */
  headerBytes: number
}

export interface ParsedStructure {
  root: MimePart
  /** Fields of the message's own header. */
  fields: HeaderField[]
  envelope: Envelope
  addresses: { from: Address[]; to: Address[]; cc: Address[] }
}

/** Takes a whole message apart. Never throws; linear in `raw.length`. */
export function parseStructure(raw: Buffer, limits: ParseLimits): ParsedStructure {
  return new StructureParser(raw, limits).message(0, '', 0)
}

interface Delimiter {
  boundary: string
  close: boolean
  /** Where the part before it ends: the line break before "--" belongs to the delimiter (RFC 2046 §5.1.1). */
  partEnd: number
  lineEnd: number
}

class StructureParser {
  readonly raw: Buffer
  readonly limits: ParseLimits
  /** Boundaries of the enclosing multiparts, how often each: an outer one also ends what is inside. */
  readonly open = new Map<string, number>()
  /** How many open boundaries begin with each byte, to pass quickly over other lines that begin with "--". */
  readonly firstBytes = new Uint16Array(256)
  /** The delimiter that ended the last part, for the multipart around it to look at. */
  ended: Delimiter | undefined
  parts = 0

  constructor(raw: Buffer, limits: ParseLimits) {
    this.raw = raw
    this.limits = limits
  }

  /** @param number of the message/rfc822 part that holds this message, '' for the outermost */
  message(start: number, number: string, depth: number): ParsedStructure {
    const { bodyStart } = headerEnd(this.raw, start, this.raw.length, this.isDelimiter)
    const fields = this.fields(start, bodyStart)
    const addresses = {
      from: addressesOf(fields, 'from'),
      to: addressesOf(fields, 'to'),
      cc: addressesOf(fields, 'cc'),
    }
    const envelope = envelopeOf(fields, addresses)
    const single = number === '' ? '1' : `${number}.1`
    const root = this.part(fields, start, bodyStart, number, single, depth, 'text/plain')
    return { root, fields, envelope, addresses }
  }

  /** Parses from the body on, and leaves the delimiter that ended the part, if any, in `ended`. */
  private part(
    fields: HeaderField[],
    headerStart: number,
    bodyStart: number,
    number: string,
    leafNumber: string,
    depth: number,
    defaultType: string,
  ): MimePart {
    this.parts++
    const part = partOf(fields, defaultType)
    part.number = part.type === 'multipart' ? number : leafNumber
    part.headerStart = headerStart
    part.bodyStart = bodyStart
    const divisible = depth < this.limits.mimeDepth
    const boundary = delimiterText(part.parameters.boundary)
    if (part.type === 'multipart' && boundary && divisible) {
      part.parts = this.multipart(part, boundary, number, depth)
    } else if (isMessage(part) && divisible && decodes(part)) {
      const embedded = this.message(bodyStart, part.number, depth + 1)
      part.envelope = embedded.envelope
      part.parts = [embedded.root]
    } else {
      if (part.type === 'multipart') part.parts = []
      this.ended = this.nextDelimiter(bodyStart)
    }
    part.bodyEnd = Math.max(bodyStart, this.ended ? this.ended.partEnd : this.raw.length)
    if (part.type === 'text' || part.envelope) part.lines = countLines(this.raw, bodyStart, part.bodyEnd)
    part.decodedSize = part.parts
      ? part.bodyEnd - bodyStart
      : decodedSize(this.raw, bodyStart, part.bodyEnd, part.encoding)
    return part
  }

  private multipart(part: MimePart, boundary: string, number: string, depth: number): MimePart[] {
    const { open } = this
    const parts: MimePart[] = []
    const first = boundary.charCodeAt(0) & 0xff
    open.set(boundary, (open.get(boundary) ?? 0) + 1)
    this.firstBytes[first] = (this.firstBytes[first] ?? 0) + 1
    let delimiter = this.nextDelimiter(part.bodyStart)
    while (delimiter?.boundary === boundary && !delimiter.close) {
      if (this.parts >= this.limits.mimeParts) {
        delimiter = this.nextDelimiter(delimiter.lineEnd)
        continue
      }
      const start = delimiter.lineEnd
      const { bodyStart } = headerEnd(this.raw, start, this.raw.length, this.isDelimiter)
      const childNumber = number === '' ? `${parts.length + 1}` : `${number}.${parts.length + 1}`
      const defaultType = part.subtype === 'digest' ? 'message/rfc822' : 'text/plain' // RFC 2046 §5.1.5
      parts.push(
        this.part(this.fields(start, bodyStart), start, bodyStart, childNumber, childNumber, depth + 1, defaultType),
      )
      delimiter = this.ended
    }
    const count = (open.get(boundary) ?? 1) - 1
    if (count > 0) open.set(boundary, count)
    else open.delete(boundary)
    this.firstBytes[first] = (this.firstBytes[first] ?? 1) - 1
    // After the close delimiter comes an epilogue, up to a delimiter of an enclosing multipart.
    this.ended = delimiter?.close && delimiter.boundary === boundary ? this.nextDelimiter(delimiter.lineEnd) : delimiter
    return parts
  }

  private fields(start: number, end: number): HeaderField[] {
    return headerFields(this.raw, start, Math.min(end, start + this.limits.headerBytes))
  }

  /** The next delimiter line of any open boundary, at or after the line start `from`. */
  private nextDelimiter(from: number): Delimiter | undefined {
    if (this.open.size === 0) return undefined
    const { raw } = this
    let at = this.delimiterAt(from) ? from : raw.indexOf('\n--', from, 'latin1') + 1
    while (at > 0 || (at === 0 && from === 0 && this.delimiterAt(0))) {
      const delimiter = this.delimiterAt(at)
      if (delimiter) return delimiter
      at = raw.indexOf('\n--', at + 2, 'latin1') + 1
    }
    return undefined
  }

  readonly isDelimiter = (lineStart: number): boolean => this.delimiterAt(lineStart) !== undefined

  private delimiterAt(lineStart: number): Delimiter | undefined {
    const { raw, open } = this
    if (open.size === 0 || raw[lineStart] !== 45 || raw[lineStart + 1] !== 45) return undefined
    if (!this.firstBytes[raw[lineStart + 2] ?? 0]) return undefined
    // Long boundaries break RFC 2046 §5.1.1, but exist; a longer line is none.
    const longest = Math.min(raw.length, lineStart + 260)
    let lineEnd = lineStart + 2
    while (lineEnd < longest && raw[lineEnd] !== 10) lineEnd++
    if (lineEnd === longest && longest !== raw.length) return undefined
    const line = raw.toString('latin1', lineStart + 2, lineEnd).trimEnd() // transport padding
    let boundary: string | undefined
    if (open.has(line)) boundary = line
    else if (line.endsWith('--') && open.has(line.slice(0, -2).trimEnd())) boundary = line.slice(0, -2).trimEnd()
    if (boundary === undefined) return undefined
    let partEnd = lineStart
    if (partEnd > 0 && raw[partEnd - 1] === 10) partEnd--
    if (partEnd > 0 && raw[partEnd - 1] === 13) partEnd--
    return { boundary, close: boundary !== line, partEnd, lineEnd: Math.min(lineEnd + 1, raw.length) }
  }
}

/** The boundary as its delimiter lines read in latin1. */
function delimiterText(boundary: string | undefined): string | undefined {
  return boundary && Buffer.from(boundary.trimEnd(), 'utf8').toString('latin1')
}

/** message/rfc822 and message/global (RFC 6532). */
const isMessage = (part: MimePart) =>
  part.type === 'message' && (part.subtype === 'rfc822' || part.subtype === 'global')
/** An embedded message under a transfer encoding breaks RFC 2046 §5.2.1: kept as an undivided part. */
const decodes = (part: MimePart) => part.encoding !== 'base64' && part.encoding !== 'quoted-printable'

/** The envelope of a header. Sender and Reply-To default to From (RFC 9051 §7.5.2). */
function envelopeOf(fields: HeaderField[], { from, to, cc }: ParsedStructure['addresses']): Envelope {
  const fromAddresses = envelopeAddresses(from)
  const orFrom = (name: string) => {
    const addresses = envelopeAddresses(addressesOf(fields, name))
    return addresses.length > 0 ? addresses : fromAddresses
  }
  return {
    date: firstValue(fields, 'date') ?? null,
    subject: firstValue(fields, 'subject') ?? null,
    from: fromAddresses,
    sender: orFrom('sender'),
    replyTo: orFrom('reply-to'),
    to: envelopeAddresses(to),
    cc: envelopeAddresses(cc),
    bcc: envelopeAddresses(addressesOf(fields, 'bcc')),
    inReplyTo: firstValue(fields, 'in-reply-to') ?? null,
    messageId: firstValue(fields, 'message-id') ?? null,
  }
}

/** Repeated To or Cc fields (against RFC 5322 §3.6) count as one long list. */
function addressesOf(fields: HeaderField[], name: string): Address[] {
  const values = allValues(fields, name)
  if (values.length === 0) return []
  return values.length === 1 ? parseAddresses(values[0] ?? '') : values.flatMap(parseAddresses)
}

/** What the Content-* fields say; places and sizes are filled in by the parser. */
function partOf(fields: HeaderField[], defaultType: string): MimePart {
  const contentType = firstValue(fields, 'content-type')
  const { value, parameters } = parseParameterized(contentType ?? defaultType)
  const [, type, subtype] = /^([^\s/]+)\s*\/\s*([^\s/;]+)/.exec(value) ?? [undefined, 'text', 'plain']
  const encoding = firstValue(fields, 'content-transfer-encoding')
  const dispositionValue = firstValue(fields, 'content-disposition')
  const disposition = dispositionValue === undefined ? undefined : parseParameterized(dispositionValue)
  const language = firstValue(fields, 'content-language')
  return {
    number: '',
    type: type ?? 'text',
    subtype: subtype ?? 'plain',
    parameters,
    contentId: firstValue(fields, 'content-id') ?? null,
    description: firstValue(fields, 'content-description') ?? null,
    encoding: encoding === undefined ? '7bit' : parseParameterized(encoding).value || '7bit',
    disposition: disposition?.value || null,
    dispositionParameters: disposition?.parameters ?? {},
    language: language === undefined ? [] : language.split(/[\s,]+/, 100).filter((tag) => tag !== ''),
    location: firstValue(fields, 'content-location') ?? null,
    md5: firstValue(fields, 'content-md5') ?? null,
    headerStart: 0,
    bodyStart: 0,
    bodyEnd: 0,
    lines: 0,
    name: (disposition?.parameters.filename ?? parameters.name)?.normalize('NFC') ?? null,
    decodedSize: 0,
  }
}

/** Lines of [start, end); an unfinished last line counts. */
function countLines(raw: Buffer, start: number, end: number): number {
  let lines = 0
  for (let at = start; at < end; at++) if (raw[at] === 10) lines++
  return end > start && raw[end - 1] !== 10 ? lines + 1 : lines
}
