/** EmailBodyValue (RFC 8621 §4.1.4): the text of a part. Pure. */
import { isKnownCharset } from '../../message/charset.ts'
import { isKnownEncoding, partText } from '../../message/decode.ts'
import type { MimePart } from '../../message/types.ts'

export interface BodyValue {
  value: string
  isEncodingProblem: boolean
  isTruncated: boolean
}

/** @param maxBytes of UTF-8 that the value may have; 0 is no limit */
export function bodyValue(raw: Buffer, part: MimePart, maxBytes: number): BodyValue {
  const text = partText(raw, part).replaceAll('\r\n', '\n')
  const charset = part.parameters.charset
  const value = maxBytes > 0 ? truncate(text, maxBytes, part.subtype === 'html') : text
  return {
    value,
    isEncodingProblem:
      text.includes('\ufffd') || !isKnownEncoding(part.encoding) || (charset !== undefined && !isKnownCharset(charset)),
    isTruncated: value.length < text.length,
  }
}

/** Cuts between characters, and not inside an HTML tag (§4.2, maxBodyValueBytes). */
function truncate(text: string, maxBytes: number, isHtml: boolean): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const bytes = Buffer.from(text)
  let end = maxBytes
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  const cut = bytes.toString('utf8', 0, end)
  const tag = cut.lastIndexOf('<')
  return isHtml && tag > cut.lastIndexOf('>') ? cut.slice(0, tag) : cut
}
