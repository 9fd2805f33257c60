/** Exponential back-off with jitter, as numbers: nothing here waits. */

export interface BackoffLimits {
  baseMs: number
  maxMs: number
}

/**
 * The wait after the `failures`-th failure in a row: base · 2^(failures-1) up to max, of which a random upper half
 * is taken, so that many that failed together do not come back together.
 * @param failures at least 1
 * @param random in [0, 1)
 */
export function backoffMs(failures: number, limits: BackoffLimits, random: number): number {
  const full = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(failures - 1, 40))
  return full * (0.5 + random / 2)
}

/**
 * The wait until the next look at what nobody tells us about: a sixth of the time that was waited already, within the
 * limits. Whoever has just begun is served soon, and a thousand who have waited for a day cost next to nothing.
 */
export function pollMs(waitedMs: number, { baseMs, maxMs }: BackoffLimits): number {
  return Math.min(maxMs, Math.max(baseMs, (waitedMs || 0) / 6))
}
