/** Email ids, taken from the database's sequence in blocks, so that most batches need no statement for them. */
import type { Queryable } from '../db/database.ts'

/** `increment by` of the sequence email_id. */
const BLOCK = 1000

export interface EmailIds {
  /** Makes sure that `take` can be called `count` times. */
  reserve(tx: Queryable, count: number): Promise<void>
  take(): number
}

/** Ids of a process ascend; those of different processes interleave. A block is lost when its process ends. */
export function createEmailIds(): EmailIds {
  const blocks: { next: number; end: number }[] = []
  let left = 0
  return {
    async reserve(tx, count) {
      if (left >= count) return
      const rows = await tx.query<{ first: string }>(
        `select nextval('email_id') as first from generate_series(1, $1::int)`,
        [Math.ceil((count - left) / BLOCK)],
      )
      for (const { first } of rows) blocks.push({ next: Number(first), end: Number(first) + BLOCK })
      left += rows.length * BLOCK
    },
    take() {
      const block = blocks[0]
      if (!block) throw new Error('email ids were not reserved')
      const id = block.next++
      if (block.next === block.end) blocks.shift()
      left--
      return id
    },
  }
}
