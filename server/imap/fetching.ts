/**
 * FETCH's data: index columns for what the index keeps, the message's bytes only for body sections, a few messages ahead
 * of the client. Responses come in pieces of many messages.
 */
import type { EmailColumn, EmailColumns, FetchedMessage, Ranges, Uid } from '../mailstore/types.ts'
import { decodePart, isKnownEncoding } from '../message/decode.ts'
import type { ImapDeps, Session } from './command.ts'
import { Refusal, type Response } from './responses.ts'
import { findPart, partialBytes, sectionBytes } from './sections.ts'
import { formatDateTime } from './wire/dates.ts'
import type { FetchItem, SimpleItem } from './wire/fetch-items.ts'
import { nstring } from './wire/format.ts'
import { rangesOf } from './wire/sequence-set.ts'
import { formatEnvelope, formatStructure } from './wire/structure.ts'

/** Text of so many characters goes out as one piece. */
const PIECE = 64 * 1024
/** Message bytes read ahead: so many messages, and so many bytes beside the first. */
const AHEAD_MESSAGES = 64
const AHEAD_BYTES = 4 * 1024 * 1024

type Row = FetchedMessage<never> & Partial<EmailColumns>
type BodyItem = Exclude<FetchItem, { kind: 'simple' }>

const COLUMNS: Record<SimpleItem, EmailColumn | undefined> = {
  UID: undefined,
  FLAGS: undefined,
  MODSEQ: undefined,
  EMAILID: undefined,
  INTERNALDATE: 'receivedAt',
  'RFC822.SIZE': 'sizeBytes',
  ENVELOPE: 'envelope',
  BODY: 'structure',
  BODYSTRUCTURE: 'structure',
  THREADID: 'threadId',
  PREVIEW: 'preview',
}

/** Responses for the messages of these UID ranges that the client knows, ascending. */
export async function* fetchResponses(
  ranges: Ranges,
  items: readonly FetchItem[],
  changedSince: number | undefined,
  session: Session,
  deps: ImapDeps,
): AsyncGenerator<Response> {
  const { selected } = session
  const bodies = items.some(needsBytes)
  const sets =
    items.some((item) => (item.kind === 'section' || item.kind === 'binary') && !item.peek) && !selected.readOnly
  const rows = deps.mailstore.fetch(
    selected.mailboxId,
    ranges,
    columnsOf(items),
    changedSince === undefined ? {} : { changedSince },
  )
  let text = ''
  for await (const batch of rows) {
    const known = batch.filter((row) => selected.sequenceOf(row.uid) > 0)
    if (sets || items.some((item) => item.kind === 'simple' && item.name === 'FLAGS'))
      text += selected.newFlagsLine(known)
    if (bodies || sets) {
      if (text !== '') yield text
      text = ''
      yield* bodyResponses(known, items, sets, session, deps)
      continue
    }
    for (const row of known) {
      text += `* ${selected.sequenceOf(row.uid)} FETCH (${items.map((item) => indexText(item, row, session)).join(' ')})\r\n`
      if (text.length < PIECE) continue
      yield text
      text = ''
    }
  }
  if (text !== '') yield text
}

const needsBytes = (item: FetchItem) => item.kind === 'section' || item.kind === 'binary'

function columnsOf(items: readonly FetchItem[]): EmailColumn[] {
  const columns = new Set<EmailColumn>()
  for (const item of items) {
    if (item.kind === 'simple') {
      const column = COLUMNS[item.name]
      if (column) columns.add(column)
    } else {
      columns.add('structure')
      if (needsBytes(item)) columns.add('blobId').add('sizeBytes')
    }
  }
  return [...columns]
}

/** An item that the index answers. */
function indexText(item: FetchItem, row: Row, { selected, utf8 }: Session): string {
  if (item.kind === 'binarySize') return `${item.label} ${row.structure ? binarySize(row.structure, item.part) : 0}`
  if (item.kind !== 'simple') return ''
  switch (item.name) {
    case 'UID':
      return `UID ${row.uid}`
    case 'FLAGS':
      return `FLAGS ${selected.flags(row.keywords)}`
    case 'MODSEQ':
      return `MODSEQ (${row.modSeq})`
    case 'INTERNALDATE':
      return `INTERNALDATE ${formatDateTime(row.receivedAt ?? new Date(0))}`
    case 'RFC822.SIZE':
      return `RFC822.SIZE ${row.sizeBytes ?? 0}`
    case 'ENVELOPE':
      return `ENVELOPE ${row.envelope ? formatEnvelope(row.envelope, utf8) : 'NIL'}`
    case 'BODY':
    case 'BODYSTRUCTURE':
      return `${item.name} ${row.structure ? formatStructure(row.structure, item.name === 'BODYSTRUCTURE', utf8) : 'NIL'}`
    case 'EMAILID':
      return `EMAILID (${row.emailId})`
    case 'THREADID':
      return `THREADID ${row.threadId === undefined ? 'NIL' : `(${row.threadId})`}`
    case 'PREVIEW':
      return `PREVIEW ${nstring(row.preview, utf8)}`
  }
}

function binarySize(structure: EmailColumns['structure'], part: readonly number[]): number {
  const found = findPart(structure, part)
  if (!found) return 0
  return part.length === 0 ? found.bodyEnd : found.decodedSize
}

/** Messages whose bytes are wanted: \Seen is set first, so that the FLAGS told are those that hold. */
async function* bodyResponses(
  rows: readonly Row[],
  items: readonly FetchItem[],
  sets: boolean,
  session: Session,
  deps: ImapDeps,
): AsyncGenerator<Response> {
  const { selected } = session
  const groups = [...inGroups(rows)]
  const read = (group: readonly Row[] | undefined) => readBlobs(group ?? [], selected.accountId, deps)
  let next = read(groups[0])
  for (const [at, group] of groups.entries()) {
    const blobs = await next
    next = read(groups[at + 1]) // while the client takes this one
    const seen = sets ? await markSeen(group, session, deps) : undefined
    for (const row of group) {
      const raw = row.blobId === undefined ? undefined : blobs.get(row.blobId)
      if (!raw) {
        if (await isThere(row.uid, session, deps)) throw new Refusal('The message cannot be read', 'UNAVAILABLE')
        selected.noteExpunged(row.uid) // by another session, after its row was read
        continue
      }
      yield* oneResponse(seen?.get(row.uid) ?? row, raw, items, seen?.has(row.uid) ?? false, session)
    }
  }
}

async function isThere(uid: Uid, { selected }: Session, { mailstore }: ImapDeps): Promise<boolean> {
  for await (const rows of mailstore.fetch(selected.mailboxId, [[uid, uid]], [])) if (rows.length > 0) return true
  return false
}

function readBlobs(
  rows: readonly Row[],
  accountId: string,
  { mailstore }: ImapDeps,
): Promise<ReadonlyMap<string, Buffer>> {
  const blobs = mailstore.readBlobs(
    accountId,
    rows.flatMap(({ blobId }) => blobId ?? []),
  )
  blobs.catch(() => undefined) // awaited in its turn: no unhandled rejection meanwhile
  return blobs
}

function* inGroups(rows: readonly Row[]): Generator<Row[]> {
  let group: Row[] = []
  let bytes = 0
  for (const row of rows) {
    const size = row.sizeBytes ?? 0
    if (group.length > 0 && (group.length >= AHEAD_MESSAGES || bytes + size > AHEAD_BYTES)) {
      yield group
      group = []
      bytes = 0
    }
    group.push(row)
    bytes += size
  }
  if (group.length > 0) yield group
}

/** @returns the rows that were not \Seen before, as they are now */
async function markSeen(rows: readonly Row[], session: Session, { mailstore }: ImapDeps): Promise<Map<Uid, Row>> {
  const { selected } = session
  const unseen = rows.filter((row) => !row.keywords.includes('$seen'))
  if (unseen.length === 0) return new Map()
  const { updated, modSeq } = await mailstore.changeFlags(
    selected.accountId,
    selected.mailboxId,
    rangesOf(unseen.map((row) => row.uid)),
    {
      op: 'add',
      keywords: ['$seen'],
    },
  )
  selected.noteOwn(modSeq)
  const before = new Map(unseen.map((row) => [row.uid, row]))
  return new Map(updated.map((now) => [now.uid, { ...before.get(now.uid), ...now }]))
}

/** @param flagsChanged \Seen was just set: FLAGS is told although not asked for (RFC 9051 §6.4.5) */
function* oneResponse(
  row: Row,
  raw: Buffer,
  items: readonly FetchItem[],
  flagsChanged: boolean,
  session: Session,
): Generator<Response> {
  const { selected } = session
  let text = `* ${selected.sequenceOf(row.uid)} FETCH (`
  let first = true
  for (const item of items) {
    if (!first) text += ' '
    first = false
    if (item.kind === 'simple' || item.kind === 'binarySize') {
      text += indexText(item, row, session)
      continue
    }
    const bytes = bodyBytes(item, row, raw)
    const offset = 'partial' in item && item.partial ? `<${item.partial.offset}>` : ''
    if (bytes === undefined) text += `${item.label}${offset} NIL`
    else {
      // literal8 only where NUL may be (RFC 9051 §6.4.5.2)
      const binary = item.kind === 'binary' && bytes.includes(0) ? '~' : ''
      yield `${text}${item.label}${offset} ${binary}{${bytes.length}}\r\n`
      yield bytes
      text = ''
    }
  }
  if (flagsChanged) {
    const asked = (name: SimpleItem) => items.some((item) => item.kind === 'simple' && item.name === name)
    if (!asked('FLAGS')) text += ` FLAGS ${selected.flags(row.keywords)}`
    if (session.told.condstore && !asked('MODSEQ')) text += ` MODSEQ (${row.modSeq})`
  }
  yield `${text})\r\n`
}

function bodyBytes(item: BodyItem, row: Row, raw: Buffer): Buffer | undefined {
  const { structure } = row
  if (!structure || item.kind === 'binarySize') return undefined
  if (item.kind === 'section') {
    const bytes = sectionBytes(raw, structure, item.section)
    return bytes && partialBytes(bytes, item.partial)
  }
  if (item.part.length === 0) return partialBytes(raw, item.partial)
  const part = findPart(structure, item.part)
  if (!part) return undefined
  if (!isKnownEncoding(part.encoding)) throw new Refusal('Cannot decode this part', 'UNKNOWN-CTE')
  return partialBytes(part.parts ? raw.subarray(part.bodyStart, part.bodyEnd) : decodePart(raw, part), item.partial)
}
