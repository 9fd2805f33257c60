/** Reads the change log: what IMAP resynchronizes from (RFC 7162) and JMAP's /changes (RFC 8620 §5.2). */
import type { Database } from '../db/database.ts'
import type { Delta, LogKind } from './change-log.ts'
import { MEMBERSHIP_COLUMNS, type MembershipRow, toMessageRow } from './fetch.ts'
import { accountNumber, formatId, type IdPrefix, parseId } from './ids.ts'
import { parseRanges, rangesCondition, toRanges } from './ranges.ts'
import { MailboxNotFound, type Mailstore, type ObjectType, type Ranges } from './types.ts'

/** Log rows read for one answer: whoever is further behind looks at everything anew. */
const MAX_LOG_ROWS = 5_000

const KINDS: Record<ObjectType, { kind: LogKind; prefix: IdPrefix }> = {
  Email: { kind: 'e', prefix: 'e' },
  Mailbox: { kind: 'm', prefix: 'm' },
  Thread: { kind: 't', prefix: 't' },
}

interface LogRow {
  mod_seq: string
  delta: string
}

export function createChangeMethods(db: Database): Pick<Mailstore, 'changesSince' | 'changes'> {
  async function readLog(account: number, since: number): Promise<{ modSeq: number; delta: Delta }[]> {
    const rows = await db.query<LogRow>(
      'select mod_seq, delta from change_log where account_id = $1 and mod_seq > $2 order by mod_seq limit $3',
      [account, since, MAX_LOG_ROWS + 1],
    )
    return rows.map((row) => ({ modSeq: Number(row.mod_seq), delta: JSON.parse(row.delta) }))
  }

  return {
    async changesSince(mailboxId, since) {
      const mailbox = parseId('m', mailboxId) ?? 0
      const [head] = await db.query<{
        account_id: string
        highest_mod_seq: string
        uid_next: string
        log_floor: string
      }>(
        `select b.account_id, b.highest_mod_seq, b.uid_next, s.log_floor
           from mailbox b join account_state s on s.account_id = b.account_id where b.id = $1`,
        [mailbox],
      )
      if (!head) throw new MailboxNotFound(`no mailbox ${mailboxId}`)
      const answer = { highestModSeq: Number(head.highest_mod_seq), uidNext: Number(head.uid_next) }
      if (since >= answer.highestModSeq) return { ...answer, changed: [], vanished: [] }
      const log = since < Number(head.log_floor) ? undefined : await readLog(Number(head.account_id), since)
      const values: unknown[] = [mailbox]
      if (!log || log.length > MAX_LOG_ROWS) {
        const condition = `m.mod_seq > $${values.push(since)}`
        return { ...answer, changed: await readMessages(condition, values), vanished: undefined }
      }
      // What was committed after the head was read belongs to the next answer, in both lists.
      const seen = log.filter(({ modSeq }) => modSeq <= answer.highestModSeq).map(({ delta }) => delta.u?.[mailbox])
      const vanished = new Set(seen.flatMap((uids) => expand(parseRanges(uids?.x ?? ''))))
      const changed = new Set(seen.flatMap((uids) => expand(parseRanges(uids?.c ?? ''))))
      if (changed.size === 0) return { ...answer, changed: [], vanished: ascending(vanished) }
      const condition = rangesCondition('m.uid', '$1', toRanges(ascending(changed)), values)
      return { ...answer, changed: await readMessages(condition, values), vanished: ascending(vanished) }
    },

    async changes(accountId, type, since, maxChanges) {
      const account = accountNumber(accountId)
      const [state] = await db.query<{ mod_seq: string; log_floor: string }>(
        'select mod_seq, log_floor from account_state where account_id = $1',
        [account],
      )
      if (!state || since < Number(state.log_floor) || since > Number(state.mod_seq)) return undefined
      const log = await readLog(account, since)
      const { kind, prefix } = KINDS[type]
      const merged = mergeDeltas(log.slice(0, MAX_LOG_ROWS), kind, maxChanges)
      if (!merged) return undefined
      const ids = (set: Set<number>) => [...set].map((id) => formatId(prefix, id))
      const hasMoreChanges = merged.rows < log.length
      return {
        newState: hasMoreChanges ? merged.modSeq : Math.max(Number(state.mod_seq), merged.modSeq),
        hasMoreChanges,
        created: ids(merged.created),
        updated: ids(merged.updated),
        destroyed: ids(merged.destroyed),
      }
    },
  }

  async function readMessages(condition: string, values: unknown[]) {
    const rows = await db.query<MembershipRow>(
      `select ${MEMBERSHIP_COLUMNS} from membership m where m.mailbox_id = $1 and ${condition} order by m.uid`,
      values,
    )
    return rows.map(toMessageRow)
  }
}

interface Merged {
  created: Set<number>
  updated: Set<number>
  destroyed: Set<number>
  /** How many log rows are in it, and the MODSEQ of the last. */
  rows: number
  modSeq: number
}

/**
 * Whole log rows, as many as fit into maxChanges.
 * @returns undefined when not even the first one that says something fits: a state in the middle of a change does not exist
 */
export function mergeDeltas(
  log: readonly { modSeq: number; delta: Delta }[],
  kind: LogKind,
  maxChanges: number,
): Merged | undefined {
  let merged: Merged = { created: new Set(), updated: new Set(), destroyed: new Set(), rows: 0, modSeq: 0 }
  for (const { modSeq, delta } of log) {
    const ids = delta[kind]
    const more = (ids?.c?.length ?? 0) + (ids?.u?.length ?? 0) + (ids?.d?.length ?? 0)
    if (sizeOf(merged) + more > maxChanges) {
      // It may still fit, when it is about the same objects again.
      const next: Merged = {
        ...merged,
        created: new Set(merged.created),
        updated: new Set(merged.updated),
        destroyed: new Set(merged.destroyed),
      }
      mergeOne(next, ids)
      if (sizeOf(next) > maxChanges) return sizeOf(merged) > 0 ? merged : undefined
      merged = next
    } else {
      mergeOne(merged, ids)
    }
    merged.rows++
    merged.modSeq = modSeq
  }
  return merged
}

function sizeOf({ created, updated, destroyed }: Merged): number {
  return created.size + updated.size + destroyed.size
}

/** RFC 8620 §5.2: created and destroyed within the window is neither; created and updated is created. */
function mergeOne({ created, updated, destroyed }: Merged, delta: Delta[LogKind]): void {
  for (const id of delta?.c ?? []) {
    // A thread may come back under its id.
    if (destroyed.delete(id)) updated.add(id)
    else created.add(id)
  }
  for (const id of delta?.u ?? []) if (!created.has(id)) updated.add(id)
  for (const id of delta?.d ?? []) {
    updated.delete(id)
    if (!created.delete(id)) destroyed.add(id)
  }
}

function expand(ranges: Ranges): number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index))
}

function ascending(uids: Set<number>): number[] {
  return [...uids].sort((a, b) => a - b)
}
