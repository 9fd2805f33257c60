/** Group commit: what arrives while one transaction runs goes together into the next (design decision 3). */
import { Unavailable } from '../db/database.ts'

export interface GroupCommitOptions<Job, Result> {
  /** One transaction for all jobs. Answers each job, with a result or with the error that is its own. */
  run(jobs: Job[]): Promise<(Result | Error)[]>
  bytesOf(job: Job): number
  maxJobs: number
  maxBytes: number
  /** Beyond this, newcomers are refused: better a 4xx now than a time-out later. */
  maxBacklogBytes: number
  /** Transactions at a time: while one waits for its commit the next is put together. */
  concurrency: number
}

interface Waiting<Job, Result> {
  job: Job
  resolve(result: Result): void
  reject(error: unknown): void
}

/**
 * @returns hands a job in and waits for its own outcome. When a whole transaction fails for another reason than an absent
 * database, each of its jobs is tried again alone, so that one bad job does not fail its neighbours.
 */
export function createGroupCommit<Job, Result>(
  options: GroupCommitOptions<Job, Result>,
): (job: Job) => Promise<Result> {
  const { run, bytesOf, maxJobs, maxBytes, maxBacklogBytes, concurrency } = options
  const backlog: Waiting<Job, Result>[] = []
  let backlogBytes = 0
  let running = 0

  function takeBatch(): Waiting<Job, Result>[] {
    const batch: Waiting<Job, Result>[] = []
    let bytes = 0
    for (let next = backlog[0]; next && batch.length < maxJobs; next = backlog[0]) {
      const size = bytesOf(next.job)
      if (batch.length > 0 && bytes + size > maxBytes) break
      bytes += size
      batch.push(next)
      backlog.shift()
    }
    backlogBytes -= bytes
    return batch
  }

  async function runBatch(batch: Waiting<Job, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ job }) => job))
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index]
        if (result === undefined) reject(new Error('a job of the batch was not answered'))
        else if (result instanceof Error) reject(result)
        else resolve(result)
      }
    } catch (error) {
      if (batch.length === 1 || error instanceof Unavailable) {
        for (const { reject } of batch) reject(error)
        return
      }
      for (const waiting of batch) await runBatch([waiting])
    }
  }

  async function work(): Promise<void> {
    running++
    // What arrives in the same turn of the event loop goes along.
    await new Promise((resolve) => setImmediate(resolve))
    while (backlog.length > 0) await runBatch(takeBatch())
    running--
  }

  return (job) => {
    const size = bytesOf(job)
    if (backlog.length > 0 && backlogBytes + size > maxBacklogBytes) {
      return Promise.reject(new Unavailable('too much mail is waiting to be stored'))
    }
    backlogBytes += size
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    backlog.push({ job, resolve, reject })
    if (running < concurrency) void work()
    return promise
  }
}
