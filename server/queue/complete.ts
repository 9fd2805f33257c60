/** Makes what an account handed in a complete message (RFC 6409 §8): the fields that are missing, those that must not leave. Pure. */
import { namedAddresses, parseAddresses } from '../message/addresses.ts'
import { firstValue, headerEnd, headerFields } from '../message/headers.ts'
import { dateTime } from './trace.ts'

export interface Completion {
  /** Used where From is missing. */
  defaultFrom: string
  hostname: string
  now: Date
  /** Makes the Message-ID unique. */
  id: string
}

export interface CompleteMessage {
  raw: Buffer
  /** Addresses of From, at least one. */
  from: string[]
}

/** Bcc would tell who else got it (RFC 5322 §3.6.3); the others are for receivers to write. */
const REMOVED = new Set(['bcc', 'resent-bcc', 'return-path', 'x-spam-flag', 'x-spam-status', 'x-spam-level'])

/** @param given any line ends; a message with CRLF throughout comes out (RFC 5321 §2.3.8), so that a signature holds */
export function completeMessage(given: Buffer, { defaultFrom, hostname, now, id }: Completion): CompleteMessage {
  const message = withCanonicalLineEnds(given)
  const { fieldsEnd, bodyStart } = headerEnd(message, 0, message.length)
  const fields = headerFields(message, 0, fieldsEnd)
  const written = namedAddresses(parseAddresses(firstValue(fields, 'from') ?? '')).map(({ email }) => email)
  const from = written.filter((address) => address.includes('@'))
  const added: string[] = []
  if (from.length === 0) added.push(`From: <${defaultFrom}>\r\n`)
  if (firstValue(fields, 'date') === undefined) added.push(`Date: ${dateTime(now)}\r\n`)
  if (!firstValue(fields, 'message-id')) added.push(`Message-ID: <${id}@${hostname}>\r\n`)
  // an empty From or Message-ID goes where ours comes
  const dropped = (name: string): boolean =>
    REMOVED.has(name) ||
    (from.length === 0 && name === 'from') ||
    (added.at(-1)?.startsWith('M') === true && name === 'message-id')
  const kept = fields.filter((field) => !dropped(field.name.toLowerCase()))
  if (added.length === 0 && kept.length === fields.length) return { raw: message, from }
  const body = bodyStart === fieldsEnd ? ['\r\n', message.subarray(bodyStart)] : [message.subarray(fieldsEnd)]
  const parts = [...added, ...kept.map((field) => message.subarray(field.start, field.end)), ...body]
  return {
    raw: Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))),
    from: from.length === 0 ? [defaultFrom] : from,
  }
}

/** Lone CR and lone LF become CRLF. @returns the same buffer when there were none */
function withCanonicalLineEnds(message: Buffer): Buffer {
  const text = message.toString('latin1')
  const lone = /\r(?!\n)|(?<!\r)\n/g
  return lone.test(text) ? Buffer.from(text.replace(lone, '\r\n'), 'latin1') : message
}
