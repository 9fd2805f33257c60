/**
 * Looks at the outside world (a bucket, public DNS) beside the reconcile loop: a reconcile reads the last answer and
 * never waits for one. An answer that differs from the one before brings the MailServer back into the queue.
 */

import { isDeepStrictEqual } from 'node:util'
import { type KubeLogger, silentLogger } from '../kube/logger.ts'
import { createPriorityLanes, type Priority } from '../kube/priority-lanes.ts'
import { keyText, type ObjectKey } from '../kube/types.ts'

export interface BackgroundChecksOptions<Input, Answer> {
  /** Must not throw for what can go wrong in the world: that is an answer. Is aborted at the deadline. */
  run: (input: Input, signal: AbortSignal) => Promise<Answer>
  /**
   * How long an answer stands before it is asked for again.
   * @param unchanged how often in a row the question has had this answer before; asking by wish begins at 0 again
   */
  freshMs: (answer: Answer, unchanged: number) => number
  /** An answer that is news. */
  onNews: (key: ObjectKey) => void
  /** Checks at once. Default 4. */
  atOnce?: number
  deadlineMs?: number
  /** How much longer than its deadline a check may hold one of the places. Default 5 s. */
  graceMs?: number
  random?: () => number
  logger?: KubeLogger
}

export interface BackgroundChecks<Input, Answer> {
  /**
   * The last answer for this input; undefined while there is none. Sees to it that there will be one: the first for those
   * who wait for it goes before asking again, so that who never answers holds nobody up.
   * @param asked.wish another value than last time asks again now
   * @param asked.known an earlier process has had an answer, so that nobody waits for this one's first
   */
  latest(key: ObjectKey, input: Input, asked?: { wish?: string | undefined; known?: boolean }): Answer | undefined
  /** Ends a check that is running, too: what it would still do is not wanted any more. */
  forget(key: ObjectKey): void
  stop(): void
}

interface Entry<Input, Answer> {
  key: ObjectKey
  input: Input
  wish: string | undefined
  answer: Answer | undefined
  unchanged: number
  timer: NodeJS.Timeout | undefined
  state: 'idle' | 'waiting' | 'running'
  forgotten: AbortController
}

/** After a check that threw: a bug of ours, so slowly. */
const AFTER_THROW_MS = 60_000
/** A check that does not hear its deadline is left to itself: the others are not to wait for it. */
const GRACE_MS = 5_000

export function createBackgroundChecks<Input, Answer>(
  options: BackgroundChecksOptions<Input, Answer>,
): BackgroundChecks<Input, Answer> {
  const {
    run,
    freshMs,
    onNews,
    atOnce = 4,
    deadlineMs = 60_000,
    graceMs = GRACE_MS,
    random = Math.random,
    logger = silentLogger,
  } = options
  const entries = new Map<string, Entry<Input, Answer>>()
  const waiting = createPriorityLanes<Entry<Input, Answer>>()
  const stopping = new AbortController()
  let running = 0

  function ask(entry: Entry<Input, Answer>, priority: Priority): void {
    if (entry.state === 'running' || stopping.signal.aborted) return
    clearTimeout(entry.timer)
    entry.state = 'waiting'
    waiting.put(keyText(entry.key), entry, priority)
    dispatch()
  }

  function dispatch(): void {
    while (running < atOnce) {
      const next = waiting.take()
      if (!next) return
      void check(next.key)
    }
  }

  async function check(entry: Entry<Input, Answer>): Promise<void> {
    running += 1
    entry.state = 'running'
    const { input } = entry
    const signal = AbortSignal.any([stopping.signal, entry.forgotten.signal, AbortSignal.timeout(deadlineMs)])
    let again = AFTER_THROW_MS
    let news = false
    try {
      const answer = await endedBy(run(input, signal), deadlineMs + graceMs)
      if (entry.input === input) {
        news = !isDeepStrictEqual(answer, entry.answer)
        entry.unchanged = news ? 0 : entry.unchanged + 1
        entry.answer = answer
        again = freshMs(answer, entry.unchanged)
      } else again = 0 // the question changed meanwhile
    } catch (error) {
      logger.error({ err: error, key: keyText(entry.key) }, 'background check failed')
    }
    running -= 1
    entry.state = 'idle'
    const known = entries.get(keyText(entry.key)) === entry && !stopping.signal.aborted
    if (known) {
      if (again === 0) ask(entry, 'high')
      // Spread, so that the checks of many servers do not stay in step.
      else entry.timer = setTimeout(() => ask(entry, 'low'), again * (0.9 + random() * 0.2)).unref()
      if (news) onNews(entry.key)
    }
    dispatch()
  }

  return {
    latest(key, input, { wish, known = false } = {}) {
      const text = keyText(key)
      let entry = entries.get(text)
      if (!entry) {
        entry = {
          key,
          input,
          wish,
          answer: undefined,
          unchanged: 0,
          timer: undefined,
          state: 'idle',
          forgotten: new AbortController(),
        }
        entries.set(text, entry)
        ask(entry, known ? 'normal' : 'high')
      } else if (!isDeepStrictEqual(entry.input, input)) {
        entry.input = input
        entry.answer = undefined
        ask(entry, 'high')
      } else if (entry.wish !== wish) {
        entry.unchanged = -1 // the next answer counts as the first, whatever it is
        ask(entry, 'high')
      }
      entry.wish = wish
      return entry.answer
    },
    forget(key) {
      const entry = entries.get(keyText(key))
      if (!entry) return
      clearTimeout(entry.timer)
      waiting.remove(keyText(key))
      entries.delete(keyText(key))
      entry.forgotten.abort(new Error('the check is not wanted any more'))
    },
    stop() {
      stopping.abort(new Error('the checks are stopped'))
      for (const entry of entries.values()) clearTimeout(entry.timer)
      entries.clear()
      waiting.clear()
    },
  }
}

async function endedBy<T>(work: Promise<T>, limitMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`the check does not end within ${limitMs} ms`)), limitMs)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}
