/** The columns a reader may ask for: where each lies in the database, and how it is read. */
import type { Envelope, MimePart } from '../message/types.ts'
import { formatId } from './ids.ts'
import type { EmailHeaders } from './prepared.ts'
import type { EmailColumn, EmailColumns } from './types.ts'

/** SQL of each column; m is membership, e is email. Several columns share one value. */
const SOURCES: Record<EmailColumn, { name: keyof ColumnRow; sql: string }> = {
  receivedAt: { name: 'received_at', sql: 'm.received_at' },
  sizeBytes: { name: 'size_bytes', sql: 'm.size_bytes' },
  threadId: { name: 'thread_id', sql: 'm.thread_id' },
  blobId: { name: 'blob_id', sql: `encode(e.blob_id, 'hex')` },
  envelope: { name: 'envelope', sql: 'e.envelope' },
  structure: { name: 'structure', sql: 'e.structure' },
  sentAt: { name: 'sent_at', sql: 'e.sent_at' },
  preview: { name: 'preview', sql: 'e.preview' },
  hasAttachment: { name: 'has_attachment', sql: 'e.has_attachment' },
  subject: { name: 'headers', sql: 'e.headers' },
  from: { name: 'headers', sql: 'e.headers' },
  to: { name: 'headers', sql: 'e.headers' },
  cc: { name: 'headers', sql: 'e.headers' },
  messageId: { name: 'headers', sql: 'e.headers' },
  inReplyTo: { name: 'headers', sql: 'e.headers' },
  references: { name: 'headers', sql: 'e.headers' },
}

export interface ColumnRow {
  received_at: string
  size_bytes: number
  thread_id: string
  blob_id: string
  envelope: string
  structure: string
  sent_at: string | null
  preview: string
  has_attachment: boolean
  headers: string
}

export interface ColumnSelection {
  /** To be put into the select list, with a comma before each. */
  sql: string
  /** True when table e has to be joined. */
  needsEmail: boolean
}

export function selectColumns(columns: readonly EmailColumn[]): ColumnSelection {
  const sources = new Map(columns.map((column) => [SOURCES[column].name, SOURCES[column].sql]))
  return {
    sql: [...sources].map(([name, sql]) => `, ${sql} as ${name}`).join(''),
    needsEmail: [...sources.values()].some((sql) => sql.includes('e.')),
  }
}

/** @returns reads the asked columns of a row */
export function columnReader<C extends EmailColumn>(columns: readonly C[]): (row: ColumnRow) => Pick<EmailColumns, C> {
  const readers = columns.map((column) => [column, READERS[column]] as const)
  const needsHeaders = columns.some((column) => SOURCES[column].name === 'headers')
  return (row) => {
    const headers: EmailHeaders | undefined = needsHeaders ? JSON.parse(row.headers) : undefined
    const values: Partial<Record<EmailColumn, unknown>> = {}
    for (const [column, read] of readers) values[column] = read ? read(row) : headers?.[column as keyof EmailHeaders]
    // Every asked column was set above; TypeScript does not follow loops over keys.
    return values as Pick<EmailColumns, C>
  }
}

/** Columns without a reader lie in headers under their own name. */
const READERS: { [C in EmailColumn]?: (row: ColumnRow) => EmailColumns[C] } = {
  receivedAt: (row) => new Date(Number(row.received_at)),
  sizeBytes: (row) => row.size_bytes,
  threadId: (row) => formatId('t', row.thread_id),
  blobId: (row) => row.blob_id,
  envelope: (row): Envelope => JSON.parse(row.envelope),
  structure: (row): MimePart => JSON.parse(row.structure),
  sentAt: (row) => (row.sent_at === null ? null : new Date(Number(row.sent_at))),
  preview: (row) => row.preview,
  hasAttachment: (row) => row.has_attachment,
}
