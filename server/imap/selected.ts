/**
 * The selected mailbox as its client knows it: sequence numbers over a sorted array of UIDs, and what has changed in the
 * store since the client was told (RFC 9051 §5.2, §7.5; RFC 7162).
 */
import {
  type Keyword,
  type Mailbox,
  MailboxNotFound,
  type Mailstore,
  type MessageRow,
  type ModSeq,
  type Ranges,
  type StoreEvent,
  type Uid,
} from '../mailstore/types.ts'
import { Refusal } from './responses.ts'
import { COMMON_FLAGS, flagOf } from './wire/flags.ts'
import { BadCommand } from './wire/input.ts'
import { formatSet, type MessageSet, rangesOf, toRanges } from './wire/sequence-set.ts'

/** Beyond this many own changes the store is asked, so that they need not be remembered. */
const MAX_OWN_CHANGES = 1000

export interface Told {
  /** FETCH responses carry MODSEQ. */
  condstore: boolean
  /** VANISHED instead of EXPUNGE (RFC 7162 §3.2.10). */
  qresync: boolean
}

export class SelectedMailbox {
  readonly accountId: string
  readonly mailboxId: string
  readonly uidValidity: number
  readonly readOnly: boolean
  /** Search result saved by SEARCH RETURN (SAVE), '$'. */
  saved: readonly Uid[] = []
  #uids: Uid[]
  #modSeq: ModSeq
  #expunged = new Set<Uid>()
  /** MODSEQs of changes that this session made and told itself. */
  readonly #own = new Set<ModSeq>()
  /** MODSEQs that the store told of and that are not known to be own ones. */
  readonly #foreign = new Set<ModSeq>()
  #stale = false
  #gone = false
  #wake: (() => void) | undefined
  readonly #flagTexts = new Map<string, string>()
  readonly #knownFlags = new Set<string>(COMMON_FLAGS)
  #newFlags = false

  constructor(opened: { mailbox: Mailbox; uids: Uid[] }, readOnly: boolean) {
    this.accountId = opened.mailbox.accountId
    this.mailboxId = opened.mailbox.id
    this.uidValidity = opened.mailbox.uidValidity
    this.#modSeq = opened.mailbox.highestModSeq
    this.#uids = opened.uids
    this.readOnly = readOnly
  }

  get exists(): number {
    return this.#uids.length
  }

  get highestModSeq(): ModSeq {
    return this.#modSeq
  }

  /** @returns 0 when the client does not know the UID */
  sequenceOf(uid: Uid): number {
    const index = lowerBound(this.#uids, uid)
    return this.#uids[index] === uid ? index + 1 : 0
  }

  uidAt(sequence: number): Uid | undefined {
    return this.#uids[sequence - 1]
  }

  /** Messages the client still counts but the store has no more. */
  isExpunged(uid: Uid): boolean {
    return this.#expunged.has(uid)
  }

  /** Found gone: told like what `update` finds. */
  noteExpunged(uid: Uid): void {
    this.#expunged.add(uid)
  }

  get hasExpunged(): boolean {
    return this.#expunged.size > 0
  }

  /** UIDs that the client knows within these ranges, ascending. */
  uidsIn(ranges: Ranges): Uid[] {
    return ranges.flatMap(([first, last]) =>
      this.#uids.slice(lowerBound(this.#uids, first), lowerBound(this.#uids, last + 1)),
    )
  }

  /**
   * A message set as UID ranges that hold nothing the client has not been told of. @throws BadCommand for a sequence
   * number that does not exist (RFC 9051 §9 seq-number)
   */
  uidRanges({ numbering, set }: MessageSet): Ranges {
    if (set === '$') return rangesOf(this.saved.filter((uid) => this.sequenceOf(uid) > 0))
    const largestUid = this.#uids.at(-1) ?? 0
    if (numbering === 'uid') {
      if (largestUid === 0) return []
      return toRanges(set, largestUid)
        .filter(([first]) => first <= largestUid)
        .map(([first, last]) => [first, Math.min(last, largestUid)])
    }
    const count = this.#uids.length
    if (count === 0 && set.every(([first, last]) => first === '*' || last === '*' || first === 1)) return []
    return toRanges(set, count).map(([first, last]) => {
      const firstUid = this.#uids[first - 1]
      const lastUid = this.#uids[last - 1]
      if (firstUid === undefined || lastUid === undefined) throw new BadCommand('No such message number')
      return [firstUid, lastUid]
    })
  }

  /** Sequence numbers or UIDs as a set. */
  setOf(uids: readonly Uid[], numbering: MessageSet['numbering']): string {
    return formatSet(numbering === 'uid' ? uids : uids.map((uid) => this.sequenceOf(uid)))
  }

  /** "(\Seen $junk)". */
  flags(keywords: readonly Keyword[]): string {
    const key = keywords.join(' ')
    const known = this.#flagTexts.get(key)
    if (known !== undefined) return known
    const flags = keywords.map(flagOf)
    for (const flag of flags) {
      if (this.#knownFlags.has(flag)) continue
      this.#knownFlags.add(flag)
      this.#newFlags = true
    }
    const text = `(${flags.join(' ')})`
    if (this.#flagTexts.size < 1000) this.#flagTexts.set(key, text)
    return text
  }

  /** "* FLAGS (...)" when these have keywords that the client has not been told of: it goes before what has them. */
  newFlagsLine(rows: readonly { keywords: readonly Keyword[] }[]): string {
    for (const { keywords } of rows) this.flags(keywords)
    return this.#newFlags ? this.flagsLine() : ''
  }

  /** "* FLAGS (...)": all that were seen so far. */
  flagsLine(): string {
    this.#newFlags = false
    return `* FLAGS (${[...this.#knownFlags].join(' ')})\r\n`
  }

  /** The line that tells a message's flags; '' when the client does not know the message. */
  fetchFlags(row: MessageRow, { condstore }: Told, silent = false): string {
    const sequence = this.sequenceOf(row.uid)
    if (sequence === 0) return ''
    const flags = silent ? '' : ` FLAGS ${this.flags(row.keywords)}`
    return `* ${sequence} FETCH (UID ${row.uid}${flags}${condstore ? ` MODSEQ (${row.modSeq})` : ''})\r\n`
  }

  /**
   * An own change, whose answer the client gets from the command itself. Not the MODSEQ of a row that was so already:
   * that is another's change, which may have changed more than this row.
   */
  noteOwn(modSeq: ModSeq | undefined): void {
    if (modSeq !== undefined) this.#own.add(modSeq)
    if (this.#own.size > MAX_OWN_CHANGES) this.#stale = true
  }

  /** From the store's subscription. */
  onEvent(event: StoreEvent): void {
    if (event.mailboxIds.length === 0) this.#stale = true
    else if (event.mailboxIds.includes(this.mailboxId)) this.#foreign.add(event.modSeq)
    else return
    this.#wake?.()
  }

  /** Look at the store at the next `update`, whatever was told. */
  markStale(): void {
    this.#stale = true
  }

  /** Something may have to be told. */
  get hasNews(): boolean {
    for (const modSeq of this.#foreign) if (!this.#own.has(modSeq)) return true
    return this.#stale
  }

  /** Resolves at the next event. */
  news(): Promise<void> {
    if (this.hasNews) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    return promise
  }

  /**
   * What has happened since the client was told, as untagged responses.
   * @param expunges false while sequence numbers must not move; they are told next time
   */
  async update(mailstore: Mailstore, told: Told, { expunges }: { expunges: boolean }): Promise<string> {
    let fetches: MessageRow[] = []
    const exists = this.exists
    let added: Uid[] = []
    if (this.hasNews && !this.#gone) {
      this.#stale = false
      this.#foreign.clear()
      const changes = await this.#changes(mailstore)
      for (const uid of changes.vanished) if (this.sequenceOf(uid) > 0) this.#expunged.add(uid)
      const last = this.#uids.at(-1) ?? 0
      added = changes.changed.filter((row) => row.uid > last).map((row) => row.uid)
      fetches = changes.changed.filter((row) => row.uid <= last && !this.#own.has(row.modSeq))
      this.#own.clear()
    }
    let text = ''
    if (expunges && this.#expunged.size > 0) {
      const uids = [...this.#expunged].sort((a, b) => a - b)
      this.#expunged = new Set()
      text += this.remove(uids, told)
    }
    for (const uid of added) this.#uids.push(uid)
    if (added.length > 0 || this.exists > exists) text += `* ${this.exists} EXISTS\r\n`
    text += this.newFlagsLine(fetches)
    for (const row of fetches) text += this.fetchFlags(row, told)
    return text
  }

  async #changes(mailstore: Mailstore): Promise<{ changed: MessageRow[]; vanished: Uid[] }> {
    try {
      const changes = await mailstore.changesSince(this.mailboxId, this.#modSeq)
      let { vanished } = changes
      if (!vanished) {
        const present = new Set((await mailstore.openMailbox(this.accountId, this.mailboxId)).uids)
        vanished = this.#uids.filter((uid) => !present.has(uid))
      }
      this.#modSeq = Math.max(this.#modSeq, changes.highestModSeq)
      return { changed: changes.changed, vanished }
    } catch (error) {
      if (!(error instanceof MailboxNotFound)) {
        this.#stale = true
        throw error
      }
      // Deleted by another session: all its messages are gone, and nothing more can happen in it.
      this.#gone = true
      return { changed: [], vanished: [...this.#uids] }
    }
  }

  /** Takes UIDs out of the numbering. @returns EXPUNGE, highest first so that no number moves before it is told; or VANISHED */
  remove(uids: readonly Uid[], { qresync }: Told): string {
    const known = uids.filter((uid) => this.sequenceOf(uid) > 0)
    if (known.length === 0) return ''
    let text = ''
    if (qresync) text = `* VANISHED ${formatSet(known)}\r\n`
    else for (const uid of known.toReversed()) text += `* ${this.sequenceOf(uid)} EXPUNGE\r\n`
    const gone = new Set(known)
    for (const uid of known) this.#expunged.delete(uid)
    this.#uids = this.#uids.filter((uid) => !gone.has(uid))
    this.saved = this.saved.filter((uid) => !gone.has(uid))
    return text
  }

  /** @throws Refusal in a mailbox selected with EXAMINE */
  assertWritable(): void {
    if (this.readOnly) throw new Refusal('Mailbox is selected read-only', 'NOPERM')
  }
}

/** Index of the first element that is not less. */
function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}
