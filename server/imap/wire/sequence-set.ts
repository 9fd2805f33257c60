/** Sets of message numbers or UIDs: RFC 9051 §9 sequence-set. */
import type { Ranges } from '../../mailstore/types.ts'

export type SetNumber = number | '*'
/** As written; '$' is the saved search result (RFC 9051 §6.4.4.1). */
export type SequenceSet = '$' | [SetNumber, SetNumber][]

export interface MessageSet {
  numbering: 'sequence' | 'uid'
  set: SequenceSet
}

const MAX_NUMBER = 0xffffffff

/** @returns undefined when the text is no sequence-set */
export function parseSequenceSet(text: string): SequenceSet | undefined {
  if (text === '$') return '$'
  const ranges: [SetNumber, SetNumber][] = []
  for (const item of text.split(',')) {
    const match = /^(\*|\d{1,10})(?::(\*|\d{1,10}))?$/.exec(item)
    if (!match) return undefined
    const first = setNumber(match[1] ?? '')
    const last = match[2] === undefined ? first : setNumber(match[2])
    if (first === undefined || last === undefined) return undefined
    ranges.push([first, last])
  }
  return ranges
}

function setNumber(text: string): SetNumber | undefined {
  if (text === '*') return '*'
  const value = Number(text)
  return value >= 1 && value <= MAX_NUMBER ? value : undefined
}

/** Ascending, merged ranges; '*' is `largest`, and a range written backwards is turned (RFC 9051 §9 seq-range). */
export function toRanges(set: readonly [SetNumber, SetNumber][], largest: number): Ranges {
  const ranges = set.map(([a, b]): [number, number] => {
    const first = a === '*' ? largest : a
    const last = b === '*' ? largest : b
    return first <= last ? [first, last] : [last, first]
  })
  return mergeRanges(ranges)
}

/** Sorts, and joins what overlaps or touches. */
export function mergeRanges(ranges: Ranges): Ranges {
  const sorted = ranges.toSorted((a, b) => a[0] - b[0])
  const merged: Ranges = []
  for (const [first, last] of sorted) {
    const previous = merged.at(-1)
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else merged.push([first, last])
  }
  return merged
}

/** @param ranges ascending, not overlapping */
export function isInRanges(ranges: Ranges, number: number): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[middle]?.[1] ?? 0) < number) low = middle + 1
    else high = middle
  }
  return number >= (ranges[low]?.[0] ?? Number.POSITIVE_INFINITY)
}

/** Ranges of ascending numbers. */
export function rangesOf(numbers: readonly number[]): Ranges {
  const ranges: Ranges = []
  let current: [number, number] | undefined
  for (const number of numbers) {
    if (current && number === current[1] + 1) current[1] = number
    else if (!current || number !== current[1]) {
      current = [number, number]
      ranges.push(current)
    }
  }
  return ranges
}

/** "1:5,7" of ascending numbers; '' of none. */
export function formatSet(numbers: readonly number[]): string {
  return formatRanges(rangesOf(numbers))
}

export function formatRanges(ranges: Ranges): string {
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}:${last}`)).join(',')
}

/**
 * COPYUID's pair of sets (RFC 4315 §3): both in the order of the pairs, which may not ascend on the target's side.
 */
export function formatPairs(pairs: readonly (readonly [number, number])[]): [from: string, to: string] {
  return [formatSet(pairs.map(([from]) => from)), formatSet(pairs.map(([, to]) => to))]
}
