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
