/** ENVELOPE, BODY and BODYSTRUCTURE: RFC 9051 §7.5.2. */
import type { Envelope, EnvelopeAddress, MimePart } from '../../message/types.ts'
import { nstring, string } from './format.ts'

export function formatEnvelope(envelope: Envelope, utf8: boolean): string {
  const from = addressList(envelope.from, utf8)
  const orFrom = (addresses: EnvelopeAddress[]) => (addresses === envelope.from ? from : addressList(addresses, utf8))
  return (
    `(${nstring(envelope.date, utf8)} ${nstring(envelope.subject, utf8)} ${from}` +
    ` ${orFrom(envelope.sender)} ${orFrom(envelope.replyTo)} ${addressList(envelope.to, utf8)}` +
    ` ${addressList(envelope.cc, utf8)} ${addressList(envelope.bcc, utf8)}` +
    ` ${nstring(envelope.inReplyTo, utf8)} ${nstring(envelope.messageId, utf8)})`
  )
}

function addressList(addresses: EnvelopeAddress[], utf8: boolean): string {
  if (addresses.length === 0) return 'NIL'
  let text = '('
  for (const [name, mailbox, host] of addresses) {
    text += `(${nstring(name, utf8)} NIL ${nstring(mailbox, utf8)} ${nstring(host, utf8)})`
  }
  return `${text})`
}

/** @param extended BODYSTRUCTURE, with the extension data; without, BODY */
export function formatStructure(part: MimePart, extended: boolean, utf8: boolean): string {
  if (part.type === 'multipart') return multipart(part, extended, utf8)
  const size = part.bodyEnd - part.bodyStart
  // An embedded message that could not be taken apart has no envelope to show: told as bytes.
  const opaque = part.type === 'message' && isMessage(part) && !part.envelope
  const type = opaque ? '"application" "octet-stream"' : `${string(part.type, utf8)} ${string(part.subtype, utf8)}`
  let text =
    `(${type} ${parameters(withCharset(part), utf8)} ${nstring(part.contentId, utf8)}` +
    ` ${nstring(part.description, utf8)} ${string(part.encoding, utf8)} ${size}`
  const embedded = part.parts?.[0]
  if (part.envelope && embedded) {
    text += ` ${formatEnvelope(part.envelope, utf8)} ${formatStructure(embedded, extended, utf8)} ${part.lines}`
  } else if (part.type === 'text') text += ` ${part.lines}`
  if (extended) text += ` ${nstring(part.md5, utf8)}${extension(part, utf8)}`
  return `${text})`
}

/** Text is US-ASCII unless it says otherwise (RFC 2045 §5.2): told, as clients expect it. */
function withCharset({ type, parameters }: MimePart): Record<string, string> {
  return type === 'text' && parameters.charset === undefined ? { charset: 'us-ascii', ...parameters } : parameters
}

const isMessage = (part: MimePart) => part.subtype === 'rfc822' || part.subtype === 'global'

function multipart(part: MimePart, extended: boolean, utf8: boolean): string {
  const parts = part.parts ?? []
  // The grammar wants at least one body: an empty text stands for none.
  const bodies =
    parts.length > 0
      ? parts.map((child) => formatStructure(child, extended, utf8)).join('')
      : `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0${extended ? ' NIL NIL NIL NIL' : ''})`
  if (!extended) return `(${bodies} ${string(part.subtype, utf8)})`
  return `(${bodies} ${string(part.subtype, utf8)} ${parameters(part.parameters, utf8)}${extension(part, utf8)})`
}

/** body-fld-dsp, body-fld-lang, body-fld-loc. */
function extension(part: MimePart, utf8: boolean): string {
  const disposition =
    part.disposition === null
      ? 'NIL'
      : `(${string(part.disposition, utf8)} ${parameters(part.dispositionParameters, utf8)})`
  const [first, ...others] = part.language
  const language =
    first === undefined
      ? 'NIL'
      : others.length === 0
        ? string(first, utf8)
        : `(${part.language.map((tag) => string(tag, utf8)).join(' ')})`
  return ` ${disposition} ${language} ${nstring(part.location, utf8)}`
}

function parameters(values: Record<string, string>, utf8: boolean): string {
  const entries = Object.entries(values)
  if (entries.length === 0) return 'NIL'
  return `(${entries.map(([name, value]) => parameter(name, value, utf8)).join(' ')})`
}

/** For clients without UTF-8, other than ASCII is written as it stands in messages: RFC 2231 §4. */
function parameter(name: string, value: string, utf8: boolean): string {
  if (utf8 || /^[\x00-\x7f]*$/.test(value)) return `${string(name, utf8)} ${string(value, utf8)}`
  return `${string(`${name}*`, utf8)} "utf-8''${encodeURIComponent(value.toWellFormed()).replace(/['()*]/g, percent)}"`
}

const percent = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`
