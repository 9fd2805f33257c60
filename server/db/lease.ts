/** Work that one replica does at a time, now and then: a lease in Postgres names who does it. */
import type { Logger } from 'pino'
import { type Database, Unavailable } from './database.ts'

/** Replicas come and go: work that is due once a day is looked at more often. */
const LONGEST_LOOK_MS = 600_000

export interface LeasedWork {
  db: Database
  logger: Logger
  /** Names the work, the same in all replicas. */
  name: string
  /** How often it is done, by whichever replica. */
  everyMs: number
  /** A replica that dies at it holds the others up for as long. */
  leaseMs: number
  work(signal: AbortSignal): Promise<void>
}

/** Does the work again and again until disposed. Failures are logged, and it is tried again at the next turn. */
export function startLeasedWork({ db, logger, name, everyMs, leaseMs, work }: LeasedWork): AsyncDisposable {
  const stopped = new AbortController()
  const holder = String(db.owner)
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  async function turn(): Promise<void> {
    try {
      const taken = await db.query(
        `insert into lease as l (name, holder, expires_at) values ($1, $2, now() + make_interval(secs => $3))
         on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
           where l.expires_at < now() and coalesce(l.done_at, '-infinity') < now() - make_interval(secs => $4)
         returning name`,
        [name, holder, leaseMs / 1000, everyMs / 1000],
      )
      if (taken.length === 0 || stopped.signal.aborted) return
      await work(stopped.signal)
      await db.query('update lease set expires_at = now(), done_at = now() where name = $1 and holder = $2', [
        name,
        holder,
      ])
    } catch (err) {
      if (err instanceof Unavailable)
        logger.warn({ err, work: name }, 'background work waits for the database or the bucket')
      else logger.error({ err, work: name }, 'background work failed')
    }
  }

  function schedule(): void {
    // Not all replicas at the same moment.
    const delayMs = Math.min(everyMs * (0.1 + Math.random() * 0.4), LONGEST_LOOK_MS)
    timer = setTimeout(() => {
      running = turn().then(() => {
        if (!stopped.signal.aborted) schedule()
      })
    }, delayMs).unref()
  }

  schedule()
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort()
      clearTimeout(timer)
      await running
    },
  }
}
