/** What changed in a mailbox while a client was away: RFC 7162 §3.2.5, §3.2.6. */
import type { Mailstore, MessageRow, ModSeq, Uid } from '../mailstore/types.ts'
import type { SelectedMailbox } from './selected.ts'
import { isInRanges, type MessageSet, toRanges } from './wire/sequence-set.ts'

export interface QresyncParameter {
  uidValidity: number
  modSeq: ModSeq
  /** UIDs the client has; all below UIDNEXT when absent. */
  knownUids?: MessageSet
}

/**
 * Messages changed and UIDs gone since `modSeq`, of those the client knows.
 * When the change log no longer reaches back, every known UID that does not exist counts as gone, which the RFC allows.
 */
export async function resyncRange(
  mailstore: Mailstore,
  selected: SelectedMailbox,
  modSeq: ModSeq,
  known: MessageSet | undefined,
): Promise<{ vanished: Uid[]; changed: MessageRow[] }> {
  const { changed, vanished, uidNext } = await mailstore.changesSince(selected.mailboxId, modSeq)
  const set = known?.set
  const ranges = Array.isArray(set) ? toRanges(set, uidNext - 1) : undefined
  const isKnown = (uid: Uid) => !ranges || isInRanges(ranges, uid)
  if (vanished) return { changed: changed.filter((row) => isKnown(row.uid)), vanished: vanished.filter(isKnown) }
  const missing: Uid[] = []
  for (const [first, last] of ranges ?? [[1, uidNext - 1]]) {
    for (let uid = first; uid <= Math.min(last, uidNext - 1) && missing.length < MAX_MISSING; uid++) {
      if (selected.sequenceOf(uid) === 0) missing.push(uid)
    }
  }
  return { changed: changed.filter((row) => isKnown(row.uid)), vanished: missing }
}

const MAX_MISSING = 1_000_000
