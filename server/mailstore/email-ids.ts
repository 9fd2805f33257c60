/** Email ids, taken from the database's sequence in blocks, so that most batches need no statement for them. */
import type { Queryable } from '../db/database.ts'

/** `increment by` of the sequence email_id. */
const BLOCK = 1000

export interface EmailIds {
  /**
   * Sets `count` ids aside for the caller alone: transactions that run at the same time never share them.
   * @returns takes the next of them, at most `count` times
   */
  reserve(tx: Queryable, count: number): Promise<() => number>
}

interface Range {
  next: number
  /** Exclusive. */
  end: number
}

/** Ids of a process ascend by and large; those of different processes interleave. What is not used is lost. */
export function createEmailIds(): EmailIds {
  const free: Range[] = []

  /** Moves up to `count` ids from the free ranges to `mine`. @returns how many are still wanted */
  function claim(mine: Range[], count: number): number {
    let wanted = count
    for (let range = free[0]; range && wanted > 0; range = free[0]) {
      const end = Math.min(range.end, range.next + wanted)
      mine.push({ next: range.next, end })
      wanted -= end - range.next
      range.next = end
      if (range.next === range.end) free.shift()
    }
    return wanted
  }

  return {
    async reserve(tx, count) {
      const mine: Range[] = []
      const wanted = claim(mine, count)
      if (wanted > 0) {
        const rows = await tx.query<{ first: string }>(
          `select nextval('email_id') as first from generate_series(1, $1::int)`,
          [Math.ceil(wanted / BLOCK)],
        )
        const fresh = rows.map(({ first }) => ({ next: Number(first), end: Number(first) + BLOCK }))
        // In front of what others brought meanwhile, so that it is ours at once.
        free.unshift(...fresh)
        claim(mine, wanted)
      }
      return () => {
        const range = mine[0]
        if (!range) throw new Error('more email ids were taken than reserved')
        const id = range.next++
        if (range.next === range.end) mine.shift()
        return id
      }
    },
  }
}
