/** A message taken apart once, at ingest (see types.ts). */
import { namedAddresses } from './addresses.ts'
import { parseDate } from './dates.ts'
import { humanText } from './encoded-words.ts'
import { firstValue } from './headers.ts'
import { parseMessageIds } from './message-ids.ts'
import { type ParseLimits, parseStructure } from './structure.ts'
import { hasAttachment, previewOf } from './text.ts'
import { baseSubject } from './threading.ts'
import type { ParsedMessage } from './types.ts'

/** Never throws; time is linear in the message's size, and what it keeps is bounded by `limits`. */
export function parseMessage(raw: Buffer, limits: ParseLimits): ParsedMessage {
  const { root, fields, envelope, addresses } = parseStructure(raw, limits)
  const subject = envelope.subject === null ? null : humanText(envelope.subject)
  const references = firstValue(fields, 'references')
  return {
    sizeBytes: raw.length,
    envelope,
    structure: root,
    subject,
    sentAt: envelope.date === null ? undefined : parseDate(envelope.date),
    from: namedAddresses(addresses.from),
    to: namedAddresses(addresses.to),
    cc: namedAddresses(addresses.cc),
    messageId: parseMessageIds(envelope.messageId ?? '', true).slice(0, 1),
    inReplyTo: parseMessageIds(envelope.inReplyTo ?? ''),
    references: references === undefined ? [] : parseMessageIds(references),
    baseSubject: baseSubject(subject ?? ''),
    preview: previewOf(raw, root),
    hasAttachment: hasAttachment(root),
  }
}
