/** Writes MIME parts (RFC 2045, 2046, 2183, 2231): headers, transfer encodings, boundaries. Pure. */

/** A part to write: children, or content. */
export interface PartToWrite {
  /** Lower case: 'text/plain', 'multipart/mixed'. */
  type: string
  charset?: string | undefined
  name?: string | undefined
  disposition?: string | undefined
  cid?: string | undefined
  language?: string[] | undefined
  location?: string | undefined
  /** Further fields with their CRLFs; a Content-Type among them stands for that of `type`, which is still how it is encoded. */
  fields: string
  content: Buffer
  parts: PartToWrite[]
}

/**
 * The part with its header, from which `Content-*` fields come first.
 * @param boundary makes one for each multipart: it must not occur in any content
 */
export function writePart(part: PartToWrite, boundary: () => string): Buffer {
  if (part.type.startsWith('multipart/')) return writeMultipart(part, boundary)
  const encoding = transferEncoding(part)
  const type = /^content-type:/im.test(part.fields)
    ? '' // as the caller wrote it, with parameters that PartToWrite does not have
    : `Content-Type: ${part.type}${part.charset ? `; charset=${part.charset}` : ''}${parameter('name', part.name)}\r\n`
  const header = `${type}Content-Transfer-Encoding: ${encoding}\r\n${partFields(part)}\r\n`
  return Buffer.concat([Buffer.from(header), encode(part.content, encoding)])
}

function writeMultipart(part: PartToWrite, boundary: () => string): Buffer {
  const delimiter = boundary()
  const chunks: Buffer[] = [
    Buffer.from(`Content-Type: ${part.type}; boundary="${delimiter}"\r\n${partFields(part)}\r\n`),
  ]
  for (const child of part.parts) {
    chunks.push(Buffer.from(`--${delimiter}\r\n`), writePart(child, boundary), Buffer.from('\r\n'))
  }
  chunks.push(Buffer.from(`--${delimiter}--\r\n`))
  return Buffer.concat(chunks)
}

function partFields(part: PartToWrite): string {
  let fields = ''
  if (part.disposition) fields += `Content-Disposition: ${part.disposition}${parameter('filename', part.name)}\r\n`
  if (part.cid) fields += `Content-ID: <${part.cid}>\r\n`
  if (part.language?.length) fields += `Content-Language: ${part.language.join(', ')}\r\n`
  if (part.location) fields += `Content-Location: ${part.location}\r\n`
  return fields + part.fields
}

/** A parameter on a line of its own; beyond ASCII or when long in RFC 2231's form. */
function parameter(name: string, value: string | undefined): string {
  if (value === undefined) return ''
  const plain = value.replace(/[\r\n\0]/g, ' ')
  if (/^[\x20-\x7e]{0,60}$/.test(plain)) return `;\r\n ${name}="${plain.replace(/[\\"]/g, '\\$&')}"`
  const encoded = encodeURIComponent(plain.toWellFormed()).replace(
    /['()*!~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const pieces = encoded.match(/(?:%[0-9A-F]{2}|[^%]){1,50}/g) ?? ['']
  if (pieces.length === 1) return `;\r\n ${name}*=utf-8''${encoded}`
  return pieces.map((piece, index) => `;\r\n ${name}*${index}*=${index === 0 ? "utf-8''" : ''}${piece}`).join('')
}

type Encoding = '7bit' | '8bit' | 'quoted-printable' | 'base64'

function transferEncoding({ type, content }: PartToWrite): Encoding {
  const plain = isPlain(content)
  // RFC 2046 §5.2.1: embedded messages stay readable as they are; 8bit is what every next hop we know takes.
  if (type === 'message/rfc822' || type === 'message/global') return plain ? '7bit' : '8bit'
  if (!type.startsWith('text/')) return 'base64'
  return plain ? '7bit' : 'quoted-printable'
}

/** ASCII in CRLF lines of at most 998 characters. */
function isPlain(content: Buffer): boolean {
  const text = content.toString('latin1')
  return !/[^\t\r\n\x20-\x7e]|\r(?!\n)|(?<!\r)\n|[^\n]{999}/.test(text)
}

function encode(content: Buffer, encoding: Encoding): Buffer {
  if (encoding === 'base64') return Buffer.from((content.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n'))
  return encoding === 'quoted-printable' ? quotedPrintable(content) : content
}

/** RFC 2045 §6.7; line breaks of the text become CRLF. */
function quotedPrintable(content: Buffer): Buffer {
  const lines = content.toString('latin1').split(/\r\n|\n/)
  return Buffer.from(lines.map(quotedLine).join('\r\n'), 'latin1')
}

function quotedLine(line: string): string {
  const escaped = line
    .replace(/[^\t\x20-\x3c\x3e-\x7e]/g, (c) => `=${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
    .replace(/[\t ]$/, (c) => `=${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  if (escaped.length <= 76) return escaped
  return (escaped.match(/(?:=[0-9A-F]{2}|[^=]){1,73}/g) ?? []).flatMap(shorten).join('=\r\n')
}

/** A piece of 73 tokens may have three times as many characters. */
function shorten(piece: string): string[] {
  const out: string[] = []
  for (let rest = piece; rest !== ''; ) {
    let end = Math.min(75, rest.length)
    if (rest.length > 75) {
      if (rest[end - 1] === '=') end -= 1
      else if (rest[end - 2] === '=') end -= 2
    }
    out.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return out
}
