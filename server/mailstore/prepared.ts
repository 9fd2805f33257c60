/** A message made ready for the index, before any transaction: parsed, hashed, its columns written as text. */
import { createHash } from 'node:crypto'
import { blobIdOf } from '../blob/postgres.ts'
import { writtenDay } from '../message/dates.ts'
import { humanText } from '../message/encoded-words.ts'
import { parseMessage } from '../message/parse.ts'
import type { ParseLimits } from '../message/structure.ts'
import type { EnvelopeAddress, NamedAddress, ParsedMessage } from '../message/types.ts'
import type { EmailColumns } from './types.ts'

/** Message ids of one message that take part in threading. */
const MAX_THREAD_REFS = 100

/** The part of EmailColumns that is kept in email.headers. */
export type EmailHeaders = Pick<
  EmailColumns,
  'subject' | 'from' | 'to' | 'cc' | 'messageId' | 'inReplyTo' | 'references'
>

export interface PreparedMessage {
  raw: Buffer
  blobId: string
  sizeBytes: number
  /** Its bytes go into Postgres with the message's own transaction; otherwise they are stored already. */
  inline: boolean
  sentAt: number | null
  /** Of the Date field as written, in days since 1970. */
  sentDay: number | null
  hasAttachment: boolean
  envelope: string
  structure: string
  headers: string
  preview: string
  search: { subject: string; from: string; to: string; cc: string; bcc: string }
  /** Signed 64-bit numbers as text, see thread_ref. */
  threadRefs: string[]
}

/** @param inline see PreparedMessage.inline */
export function prepareMessage(raw: Buffer, limits: ParseLimits, inline: boolean): PreparedMessage {
  const parsed = parseMessage(raw, limits)
  const { subject, from, to, cc, messageId, inReplyTo, references } = parsed
  const headers: EmailHeaders = { subject, from, to, cc, messageId, inReplyTo, references }
  return {
    raw,
    blobId: blobIdOf(raw),
    sizeBytes: raw.length,
    inline,
    sentAt: parsed.sentAt ? storableTime(parsed.sentAt) : null,
    sentDay: writtenDay(parsed.envelope.date ?? '') ?? null,
    hasAttachment: parsed.hasAttachment,
    envelope: JSON.stringify(parsed.envelope),
    structure: JSON.stringify(parsed.structure),
    headers: JSON.stringify(headers),
    preview: withoutNul(parsed.preview),
    search: {
      subject: searchable(subject ?? ''),
      from: searchableAddresses(from, parsed.envelope.from),
      to: searchableAddresses(to, parsed.envelope.to),
      cc: searchableAddresses(cc, parsed.envelope.cc),
      bcc: searchable(parsed.envelope.bcc.map(addressText).join('\n')),
    },
    threadRefs: threadRefs(parsed),
  }
}

/** How text is compared in searches: case-insensitive by the full Unicode mapping, composed. */
export function searchable(text: string): string {
  return withoutNul(text.normalize('NFC').toLowerCase())
}

/** @param envelope the same field with its groups, whose names are searched too (RFC 9051 §6.4.4: the envelope) */
function searchableAddresses(addresses: readonly NamedAddress[], envelope: readonly EnvelopeAddress[]): string {
  const texts = addresses.map(({ name, email }) => (name === null ? email : `${name} <${email}>`))
  const groups = envelope.flatMap(([, group, host]) => (host === null && group !== null ? humanText(group) : []))
  return searchable([...texts, ...groups].join('\n'))
}

function addressText([name, mailbox, host]: EnvelopeAddress): string {
  const address = host === null ? (mailbox ?? '') : `${mailbox ?? ''}@${host}`
  return name === null ? address : `${name} <${address}>`
}

/** RFC 8621 §3: a shared message id counts only together with the base subject. */
function threadRefs({ messageId, inReplyTo, references, baseSubject }: ParsedMessage): string[] {
  const ids = new Set([...messageId, ...inReplyTo, ...references.slice(-MAX_THREAD_REFS)])
  return [...ids]
    .slice(0, MAX_THREAD_REFS)
    .map((id) => createHash('sha1').update(`${id}\0${baseSubject}`).digest().readBigInt64BE().toString())
}

function storableTime(date: Date): number | null {
  const time = date.getTime()
  return Number.isSafeInteger(time) ? time : null
}

/** Postgres' text holds everything but NUL. */
function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '') : text
}
