/** When to try again and when to give up (RFC 5321 §4.5.4.1). Pure. */
import type { OutboundConfig } from '../config.ts'

export interface Waiting {
  /** Attempts made so far, the one that just failed included: at least 1. */
  attempts: number
  now: Date
  expiresAt: Date
}

/**
 * @param random 0 .. 1: up to a tenth is taken off or put on, so that what failed together does not come back together
 * @returns when to try again; undefined when the time is over
 */
export function nextAttempt(
  { attempts, now, expiresAt }: Waiting,
  { retryDelaysMs }: Pick<OutboundConfig, 'retryDelaysMs'>,
  random: number,
): Date | undefined {
  if (now >= expiresAt) return undefined
  const delay = retryDelaysMs[Math.min(attempts, retryDelaysMs.length) - 1] ?? 0
  const at = +now + delay * (0.9 + random * 0.2)
  return new Date(Math.min(at, +expiresAt)) // the last attempt is at the end of its time
}

/** The sender is told once that mail is late: after so long (RFC 3464 §2.3.3, action "delayed"). */
export const DELAY_REPORT_AFTER_MS = 4 * 3_600_000
