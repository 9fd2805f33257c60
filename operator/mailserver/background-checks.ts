/**
 * Looks at the outside world (a bucket, public DNS) beside the reconcile loop: a reconcile reads the last answer and
 * never waits for one. An answer that differs from the one before brings the MailServer back into the queue.
 */

import { isDeepStrictEqual } from 'node:util'
import { type KubeLogger, silentLogger } from '../kube/logger.ts'
import { keyText, type ObjectKey } from '../kube/types.ts'

export interface BackgroundChecksOptions<Input, Answer> {
  /** Must not throw for what can go wrong in the world: that is an answer. Is aborted at the deadline. */
  run: (input: Input, signal: AbortSignal) => Promise<Answer>
  /** How long an answer stands before it is asked for again. */
  freshMs: (answer: Answer) => number
  /** An answer that is news. */
  onNews: (key: ObjectKey) => void
  /** Checks at once. Default 4. */
  atOnce?: number
  deadlineMs?: number
  random?: () => number
  logger?: KubeLogger
}

export interface BackgroundChecks<Input, Answer> {
  /**
   * The last answer for this input; undefined while there is none. Sees to it that there will be one.
   * @param wish another value than last time asks again now
   */
  latest(key: ObjectKey, input: Input, wish?: string): Answer | undefined
  forget(key: ObjectKey): void
  stop(): void
}

interface Entry<Input, Answer> {
  key: ObjectKey
  input: Input
  wish: string | undefined
  answer: Answer | undefined
  timer: NodeJS.Timeout | undefined
  state: 'idle' | 'waiting' | 'running'
}

/** After a check that threw: a bug of ours, so slowly. */
const AFTER_THROW_MS = 60_000

export function createBackgroundChecks<Input, Answer>(
  options: BackgroundChecksOptions<Input, Answer>,
): BackgroundChecks<Input, Answer> {
  const { run, freshMs, onNews, atOnce = 4, deadlineMs = 60_000, random = Math.random, logger = silentLogger } = options
  const entries = new Map<string, Entry<Input, Answer>>()
  const waiting = new Set<Entry<Input, Answer>>()
  const stopping = new AbortController()
  let running = 0

  function ask(entry: Entry<Input, Answer>): void {
    if (entry.state !== 'idle' || stopping.signal.aborted) return
    clearTimeout(entry.timer)
    entry.state = 'waiting'
    waiting.add(entry)
    dispatch()
  }

  function dispatch(): void {
    for (const entry of waiting) {
      if (running >= atOnce) return
      waiting.delete(entry)
      void check(entry)
    }
  }

  async function check(entry: Entry<Input, Answer>): Promise<void> {
    running += 1
    entry.state = 'running'
    const { input } = entry
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(deadlineMs)])
    let again = AFTER_THROW_MS
    let news = false
    try {
      const answer = await run(input, signal)
      if (entry.input === input) {
        news = !isDeepStrictEqual(answer, entry.answer)
        entry.answer = answer
        again = freshMs(answer)
      } else again = 0 // the question changed meanwhile
    } catch (error) {
      logger.error({ err: error, key: keyText(entry.key) }, 'background check failed')
    }
    running -= 1
    entry.state = 'idle'
    const known = entries.get(keyText(entry.key)) === entry && !stopping.signal.aborted
    if (known) {
      if (again === 0) ask(entry)
      // Spread, so that the checks of many servers do not stay in step.
      else entry.timer = setTimeout(() => ask(entry), again * (0.9 + random() * 0.2)).unref()
      if (news) onNews(entry.key)
    }
    dispatch()
  }

  return {
    latest(key, input, wish) {
      const text = keyText(key)
      let entry = entries.get(text)
      if (!entry) {
        entry = { key, input, wish, answer: undefined, timer: undefined, state: 'idle' }
        entries.set(text, entry)
        ask(entry)
      } else if (!isDeepStrictEqual(entry.input, input)) {
        entry.input = input
        entry.answer = undefined
        ask(entry)
      } else if (entry.wish !== wish) ask(entry)
      entry.wish = wish
      return entry.answer
    },
    forget(key) {
      const entry = entries.get(keyText(key))
      if (!entry) return
      clearTimeout(entry.timer)
      waiting.delete(entry)
      entries.delete(keyText(key))
    },
    stop() {
      stopping.abort(new Error('the checks are stopped'))
      for (const entry of entries.values()) clearTimeout(entry.timer)
      entries.clear()
      waiting.clear()
    },
  }
}
