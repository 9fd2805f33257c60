/** Counts in windows of time that all replicas share. */
import type { Database } from '../db/database.ts'

export interface RateCounter {
  /**
   * Counts `amount` under the key.
   * @param windowMs length of a window; windows begin at multiples of it
   * @returns the count of the current window, weighted with what is left of the one before, so that a window's turn is no
   *   free pass. @throws Unavailable
   */
  add(key: string, amount: number, windowMs: number): Promise<number>
  /** The same without counting. */
  count(key: string, windowMs: number): Promise<number>
}

const PURGE_INTERVAL_MS = 600_000
const PURGE_ROWS = 10_000

export function createRateCounter({ db, now }: { db: Database; now: () => Date }): RateCounter {
  let purgedAt = 0

  /** Old windows go now and then, with whoever counts. */
  async function purge(at: number): Promise<void> {
    if (at - purgedAt < PURGE_INTERVAL_MS) return
    purgedAt = at
    await db.query(
      'delete from rate_window where ctid in (select ctid from rate_window where expires_at < $1 limit $2)',
      [new Date(at), PURGE_ROWS],
    )
  }

  const windowAt = (windowMs: number) => {
    const at = +now()
    const start = at - (at % windowMs)
    return { at, start: new Date(start), before: new Date(start - windowMs), weight: 1 - (at - start) / windowMs }
  }

  return {
    async add(key, amount, windowMs) {
      const { at, start, before, weight } = windowAt(windowMs)
      const [row] = await db.query<{ hits: number; earlier: number | null }>(
        `insert into rate_window as w (key, window_start, hits, expires_at) values ($1, $2, $3, $4)
         on conflict (key, window_start) do update set hits = w.hits + excluded.hits
         returning hits, (select hits from rate_window where key = $1 and window_start = $5) as earlier`,
        [key, start, amount, new Date(+start + 2 * windowMs), before],
      )
      await purge(at)
      return (row?.hits ?? amount) + Math.floor((row?.earlier ?? 0) * weight)
    },
    async count(key, windowMs) {
      const { start, before, weight } = windowAt(windowMs)
      const rows = await db.query<{ hits: number; window_start: Date }>(
        'select hits, window_start from rate_window where key = $1 and window_start = any($2::timestamptz[])',
        [key, [start, before]],
      )
      return rows.reduce((sum, row) => sum + Math.floor(row.hits * (+row.window_start === +start ? 1 : weight)), 0)
    },
  }
}
