/** Starts what depends on others that may not be there yet. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface KeepTryingOptions {
  signal: AbortSignal
  /** Hears of each failure; the next attempt follows after `delayMs`. */
  onFailure: (error: unknown, delayMs: number) => void
  firstDelayMs?: number
  maxDelayMs?: number
}

/**
 * Runs `attempt` until it succeeds, waiting 0.25 s, then twice as long each time up to 5 s.
 * @throws the signal's reason as soon as it is aborted; an attempt under way is left to itself
 */
export async function keepTrying<T>(attempt: () => Promise<T>, options: KeepTryingOptions): Promise<T> {
  const { signal, onFailure, firstDelayMs = 250, maxDelayMs = 5_000 } = options
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => {})
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, maxDelayMs)) {
      signal.throwIfAborted()
      try {
        return await Promise.race([attempt(), aborted.promise])
      } catch (error) {
        signal.throwIfAborted()
        onFailure(error, delayMs)
      }
      await sleep(delayMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
