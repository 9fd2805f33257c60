/** A token bucket, so that one hot loop cannot take the API server's capacity (client-go flowcontrol). */

/** `take` resolves when one more call may be made; it rejects with the signal's reason when that comes first. */
export interface RateLimit {
  take(signal?: AbortSignal): Promise<void>
}

/**
 * @param perSecond calls per second in the long run
 * @param burst calls at once after a pause
 */
export function createRateLimit(
  perSecond: number,
  burst: number,
  now: () => number = () => performance.now(),
): RateLimit {
  let tokens = burst
  let at = now()
  return {
    async take(signal) {
      const time = now()
      tokens = Math.min(burst, tokens + ((time - at) / 1000) * perSecond)
      at = time
      // Taking below zero reserves a place in line: whoever comes later waits longer.
      tokens -= 1
      if (tokens >= 0) return
      await delay((-tokens / perSecond) * 1000, signal)
    },
  }
}

/** Resolves after `ms`, or rejects with the signal's reason. The timer keeps no process alive by itself once aborted. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
