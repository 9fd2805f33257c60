/** Decides filters that need a message's bytes, a bounded number of messages at a time. */
import type { Blobs } from '../blob/blobs.ts'
import type { Database } from '../db/database.ts'
import { decodeEncodedWords } from '../message/encoded-words.ts'
import { headerFields, unfold } from '../message/headers.ts'
import { extractText } from '../message/text.ts'
import type { MimePart } from '../message/types.ts'
import { readBlobs } from './blob-reads.ts'
import type { ContentCondition, RowFilter } from './filter.ts'
import { searchable } from './prepared.ts'

const MESSAGES_PER_READ = 32
const MAX_TEXT = 4 * 1024 * 1024

/** A row with the columns of CompiledFilter.decide, and what names its bytes. */
export interface CandidateRow {
  blob_id: string
  structure: string
  [column: `c${number}`]: boolean
}

export const CANDIDATE_COLUMNS = `, encode(e.blob_id, 'hex') as blob_id, e.structure`

/** The rows that match, in their order. */
export async function decideRows<Row extends CandidateRow>(
  db: Database,
  blobs: Blobs,
  rows: readonly Row[],
  filter: RowFilter,
): Promise<Row[]> {
  const matching: Row[] = []
  for (let start = 0; start < rows.length; start += MESSAGES_PER_READ) {
    const page = rows.slice(start, start + MESSAGES_PER_READ)
    const undecided = page.filter((row) => decide(filter, row, undefined) === undefined)
    const bytes = await readBlobs(db, blobs, [...new Set(undecided.map((row) => row.blob_id))])
    matching.push(...page.filter((row) => decide(filter, row, bytes.get(row.blob_id) ?? null) === true))
  }
  return matching
}

/** @param raw undefined: not read yet, null: gone. @returns undefined when only the bytes can tell */
function decide(filter: RowFilter, row: CandidateRow, raw: Buffer | null | undefined): boolean | undefined {
  if ('column' in filter) return row[filter.column as `c${number}`]
  if ('content' in filter)
    return raw === undefined ? undefined : raw !== null && contentMatches(filter.content, row, raw)
  if ('not' in filter) {
    const inner = decide(filter.not, row, raw)
    return inner === undefined ? undefined : !inner
  }
  const isAnd = 'and' in filter
  let unknown = false
  for (const one of isAnd ? filter.and : filter.or) {
    const value = decide(one, row, raw)
    if (value === !isAnd) return value
    if (value === undefined) unknown = true
  }
  return unknown ? undefined : isAnd
}

function contentMatches(condition: ContentCondition, row: CandidateRow, raw: Buffer): boolean {
  const structure: MimePart = JSON.parse(row.structure)
  if ('body' in condition) return bodyContains(raw, structure, condition.body)
  const fields = headerFields(raw, structure.headerStart, structure.bodyStart)
  if ('header' in condition) {
    const name = condition.header.toLowerCase()
    const text = searchable(condition.contains)
    return fields.some((field) => field.name.toLowerCase() === name && valueText(field.value).includes(text))
  }
  const text = searchable(condition.text)
  return fields.some((field) => valueText(field.value).includes(text)) || bodyContains(raw, structure, condition.text)
}

function bodyContains(raw: Buffer, structure: MimePart, text: string): boolean {
  return searchable(extractText(raw, structure, MAX_TEXT)).includes(searchable(text))
}

function valueText(value: string): string {
  return searchable(decodeEncodedWords(unfold(value)))
}
