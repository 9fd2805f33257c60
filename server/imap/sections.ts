/** The bytes that BODY[section] and BINARY[part] name in a message: RFC 9051 §6.4.5.1. */
import { headerFields } from '../message/headers.ts'
import type { MimePart } from '../message/types.ts'
import type { Partial, Section } from './wire/fetch-items.ts'

/** @returns undefined when the message has no such part: NIL */
export function sectionBytes(raw: Buffer, root: MimePart, section: Section): Buffer | undefined {
  if (section.part.length === 0 && section.text === undefined) return raw
  const part = findPart(root, section.part)
  if (!part) return undefined
  if (section.text === undefined) return raw.subarray(part.bodyStart, part.bodyEnd)
  if (section.text === 'MIME') return raw.subarray(part.headerStart, part.bodyStart)
  // HEADER and TEXT are of a message: the whole one, or one embedded in the part
  const message = section.part.length === 0 ? root : part.envelope && part.parts?.[0]
  if (!message) return undefined
  if (section.text === 'TEXT') return raw.subarray(message.bodyStart, message.bodyEnd)
  if (section.text === 'HEADER') return raw.subarray(message.headerStart, message.bodyStart)
  return selectedFields(raw, message, section)
}

/** The part with these numbers; the root part for none. */
export function findPart(root: MimePart, numbers: readonly number[]): MimePart | undefined {
  let part: MimePart | undefined = root
  let entered = true // `part` is a message's root: the next number is counted inside it
  for (const number of numbers) {
    if (!part) return undefined
    if (!entered && part.envelope) part = part.parts?.[0]
    else if (!entered && part.type !== 'multipart') return undefined
    if (!part) return undefined
    if (part.type === 'multipart') part = part.parts?.[number - 1]
    else if (number !== 1) return undefined // the only part of a message that is not multipart
    entered = false
  }
  return part
}

function selectedFields(raw: Buffer, message: MimePart, section: Section): Buffer {
  const names = new Set(section.fields.map((field) => field.toLowerCase()))
  const wanted = section.text === 'HEADER.FIELDS'
  const chunks: Buffer[] = []
  for (const field of headerFields(raw, message.headerStart, message.bodyStart)) {
    if (names.has(field.name.toLowerCase()) !== wanted) continue
    chunks.push(raw.subarray(field.start, field.end))
    if (raw[field.end - 1] !== 10) chunks.push(Buffer.from('\r\n'))
  }
  chunks.push(Buffer.from('\r\n'))
  return Buffer.concat(chunks)
}

export function partialBytes(bytes: Buffer, partial: Partial | undefined): Buffer {
  return partial ? bytes.subarray(partial.offset, partial.offset + partial.length) : bytes
}
