/** The Email object (RFC 8621 §4.1): which properties are asked, what the index must give for them, and how they look. Pure. */

import type { EmailColumn, EmailColumns } from '../../mailstore/types.ts'
import { headerFields } from '../../message/headers.ts'
import { MethodError } from '../wire/errors.ts'
import { jmapBlobId } from '../wire/ids.ts'
import { type BodyPlan, bodyLists, bodyPart, DEFAULT_BODY_PROPERTIES, partIdOf, planBody } from './body.ts'
import { type BodyValue, bodyValue } from './body-values.ts'
import { asDate, envelopeToNamed, type HeaderProperty, headerValue, parseHeaderProperty } from './header-forms.ts'

/** Index columns by property. */
const COLUMNS: Record<string, EmailColumn[]> = {
  id: [],
  keywords: [],
  mailboxIds: [],
  blobId: ['blobId'],
  threadId: ['threadId'],
  size: ['sizeBytes'],
  receivedAt: ['receivedAt'],
  messageId: ['messageId'],
  inReplyTo: ['inReplyTo'],
  references: ['references'],
  sender: ['envelope'],
  from: ['from'],
  to: ['to'],
  cc: ['cc'],
  bcc: ['envelope'],
  replyTo: ['envelope'],
  subject: ['subject'],
  sentAt: ['envelope'],
  hasAttachment: ['hasAttachment'],
  preview: ['preview'],
  bodyStructure: ['structure', 'blobId'],
  bodyValues: ['structure', 'blobId'],
  textBody: ['structure', 'blobId'],
  htmlBody: ['structure', 'blobId'],
  attachments: ['structure', 'blobId'],
  headers: ['structure', 'blobId'],
}

/** RFC 8621 §4.2. */
const DEFAULT_PROPERTIES = Object.keys(COLUMNS).filter((name) => name !== 'bodyStructure' && name !== 'headers')
/** Null in Email/parse, and not told unless asked for (§4.9). */
const METADATA = new Set(['id', 'mailboxIds', 'keywords', 'receivedAt', 'threadId'])

export interface EmailGetOptions {
  properties?: readonly string[] | null | undefined
  bodyProperties?: readonly string[] | null | undefined
  fetchTextBodyValues: boolean
  fetchHTMLBodyValues: boolean
  fetchAllBodyValues: boolean
  maxBodyValueBytes: number
}

export interface EmailPlan {
  properties: string[]
  headers: [property: string, parsed: HeaderProperty][]
  body: BodyPlan
  columns: EmailColumn[]
  /** The message itself has to be read. */
  needsRaw: boolean
  options: EmailGetOptions
}

/** What is known of one Email: its metadata and the columns of the plan. */
export type EmailSource = Partial<EmailColumns> & { id?: string; keywords?: string[]; mailboxIds?: string[] }

/** @throws MethodError invalidArguments naming unknown properties */
export function planEmail(options: EmailGetOptions, kind: 'get' | 'parse' = 'get'): EmailPlan {
  const defaults = kind === 'get' ? DEFAULT_PROPERTIES : DEFAULT_PROPERTIES.filter((name) => !METADATA.has(name))
  const asked = options.properties ?? defaults
  const headers: EmailPlan['headers'] = []
  const unknown: string[] = []
  const columns = new Set<EmailColumn>()
  for (const property of asked) {
    const header = property.startsWith('header:') ? parseHeaderProperty(property) : undefined
    const needed = header ? COLUMNS.headers : Object.hasOwn(COLUMNS, property) ? COLUMNS[property] : undefined
    if (header) headers.push([property, header])
    if (!needed) unknown.push(property)
    for (const column of needed ?? []) columns.add(column)
  }
  const body = planBody(options.bodyProperties ?? DEFAULT_BODY_PROPERTIES)
  if ('unknown' in body) unknown.push(...body.unknown)
  if (unknown.length > 0 || 'unknown' in body) {
    throw new MethodError('invalidArguments', `unknown properties: ${unknown.join(', ').slice(0, 500)}`)
  }
  const wants = (names: string[]) => names.some((name) => asked.includes(name))
  const fetchesValues = options.fetchTextBodyValues || options.fetchHTMLBodyValues || options.fetchAllBodyValues
  const needsRaw =
    headers.length > 0 ||
    wants(['headers']) ||
    (wants(['bodyValues']) && fetchesValues) ||
    (body.needsRaw && wants(['bodyStructure', 'textBody', 'htmlBody', 'attachments']))
  return { properties: [...asked], headers, body, columns: [...columns], needsRaw, options }
}

/** The Email object. @param raw the whole message, when the plan needs it */
export function presentEmail(email: EmailSource, plan: EmailPlan, raw?: Buffer): Record<string, unknown> {
  const shown: Record<string, unknown> = email.id === undefined ? {} : { id: email.id }
  const { structure } = email
  const lists = structure && bodyLists(structure)
  const source = { blobHash: email.blobId ?? '', raw }
  const parts = (list: 'textBody' | 'htmlBody' | 'attachments') =>
    lists?.[list].map((part) => bodyPart(part, plan.body, source, false)) ?? []
  for (const property of plan.properties) {
    if (property.startsWith('header:')) continue
    switch (property) {
      case 'bodyStructure':
        shown.bodyStructure = structure && bodyPart(structure, plan.body, source, true)
        break
      case 'textBody':
      case 'htmlBody':
      case 'attachments':
        shown[property] = parts(property)
        break
      case 'bodyValues':
        shown.bodyValues = bodyValues(email, plan, raw)
        break
      case 'headers':
        shown.headers = fieldsOf(email, raw).map(({ name, value }) => ({ name, value }))
        break
      default:
        shown[property] = simple(email, property)
    }
  }
  if (plan.headers.length > 0) {
    const fields = fieldsOf(email, raw)
    for (const [property, parsed] of plan.headers) shown[property] = headerValue(fields, parsed)
  }
  return shown
}

function simple(email: EmailSource, property: string): unknown {
  switch (property) {
    case 'keywords':
      // '$deleted' is IMAP's \Deleted, which JMAP does not have (RFC 8621 §4.1.1).
      return email.keywords ? asSet(email.keywords.filter((keyword) => keyword !== '$deleted')) : null
    case 'mailboxIds':
      return email.mailboxIds ? asSet(email.mailboxIds) : null
    case 'blobId':
      return email.blobId === undefined ? null : jmapBlobId(email.blobId)
    case 'size':
      return email.sizeBytes ?? null
    case 'receivedAt':
      return email.receivedAt ? utc(email.receivedAt) : null
    case 'sentAt':
      return email.envelope?.date ? asDate(email.envelope.date) : null
    case 'sender':
    case 'bcc':
    case 'replyTo':
      return orNull(envelopeToNamed(email.envelope?.[property] ?? []))
    case 'from':
    case 'to':
    case 'cc':
    case 'messageId':
    case 'inReplyTo':
    case 'references':
      return orNull(email[property] ?? [])
    case 'subject':
      return email.subject ?? null
    default:
      return Reflect.get(email, property) ?? null
  }
}

function bodyValues(email: EmailSource, { options }: EmailPlan, raw: Buffer | undefined): Record<string, BodyValue> {
  if (!raw || !email.structure) return {}
  const { textBody, htmlBody, attachments } = bodyLists(email.structure)
  const wanted = new Set([
    ...(options.fetchTextBodyValues || options.fetchAllBodyValues ? textBody : []),
    ...(options.fetchHTMLBodyValues || options.fetchAllBodyValues ? htmlBody : []),
    ...(options.fetchAllBodyValues ? attachments : []),
  ])
  const values = [...wanted]
    .filter((part) => part.type === 'text')
    .map((part) => [partIdOf(part), bodyValue(raw, part, options.maxBodyValueBytes)] as const)
  return Object.fromEntries(values)
}

function fieldsOf(email: EmailSource, raw: Buffer | undefined) {
  return raw && email.structure ? headerFields(raw, email.structure.headerStart, email.structure.bodyStart) : []
}

const asSet = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, true]))
const orNull = (list: readonly unknown[]) => (list.length > 0 ? list : null)
/** UTCDate (RFC 8620 §1.4): no fraction when it is zero. */
export const utc = (date: Date) => date.toISOString().replace(/\.000Z$/, 'Z')
