/** Sets of UIDs as ascending inclusive ranges, and as text: '1:5,9'. */
import type { Ranges, Uid } from './types.ts'

function addToRanges(ranges: Ranges, value: number): void {
  const last = ranges.at(-1)
  if (last && value === last[1] + 1) last[1] = value
  else if (!last || value > last[1]) ranges.push([value, value])
}

export function toRanges(ascending: readonly Uid[]): Ranges {
  const ranges: Ranges = []
  for (const value of ascending) addToRanges(ranges, value)
  return ranges
}

export function formatRanges(ranges: Ranges): string {
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}:${last}`)).join(',')
}

/** Reads what formatRanges wrote. */
export function parseRanges(text: string): Ranges {
  if (text === '') return []
  return text.split(',').map((range) => {
    const [first, last] = range.split(':')
    return [Number(first), Number(last ?? first)]
  })
}

/**
 * SQL that is true for the UIDs of a mailbox that lie in the ranges.
 * @param uid the column, @param mailboxId the parameter ($1) that names the mailbox; both trusted SQL
 * @param values parameters so far; grows
 */
export function rangesCondition(uid: string, mailboxId: string, ranges: Ranges, values: unknown[]): string {
  const [only] = ranges
  if (!only) return 'false'
  if (ranges.length === 1) {
    values.push(only[0], only[1])
    return `${uid} between $${values.length - 1} and $${values.length}`
  }
  values.push(
    ranges.map(([first]) => first),
    ranges.map(([, last]) => last),
  )
  // One index range scan per range, instead of comparing every message with every range.
  return `${uid} in (select x.uid from unnest($${values.length - 1}::bigint[], $${values.length}::bigint[]) as r (low, high)
    join membership x on x.mailbox_id = ${mailboxId} and x.uid between r.low and r.high)`
}
