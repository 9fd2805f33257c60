/** Whether this process should get traffic, and if not, what is missing. */

/** Resolves when well; otherwise throws an Error whose message a platform engineer can act on. */
export type ReadinessCheck = () => Promise<void> | void

export interface ReadinessReport {
  ready: boolean
  /** By check: 'ok', or what is missing. */
  checks: Record<string, string>
}

export interface Readiness {
  /**
   * Adds a check, or replaces the one of that name.
   * @param options.shared what all replicas depend on (database, bucket): it must have been well once, and afterwards is
   * only told. Were every replica to leave the Service when Postgres is away, clients would meet a closed port instead of
   * SMTP's 451, IMAP's NO [UNAVAILABLE] and JMAP's serverFail.
   */
  set(name: string, check: ReadinessCheck, options?: { shared?: boolean }): void
  /** From now on not ready, whatever the checks say. */
  drain(): void
  report(): Promise<ReadinessReport>
}

/** A probe that asks every second must not become load: answers are shared for this long. */
const REMEMBER_MS = 500

/**
 * @param deadlineMs a check that takes longer counts as failed
 */
export function createReadiness({
  deadlineMs = 3_000,
  now = Date.now,
}: {
  deadlineMs?: number
  now?: () => number
} = {}): Readiness {
  const checks = new Map<string, ReadinessCheck>()
  const shared = new Set<string>()
  const wellOnce = new Set<string>()
  let draining = false
  let remembered: { at: number; report: Promise<ReadinessReport> } | undefined

  const run = async (): Promise<ReadinessReport> => {
    const results = await Promise.all(
      [...checks].map(async ([name, check]) => [name, await outcome(check, deadlineMs)] as const),
    )
    for (const [name, result] of results) if (result === 'ok') wellOnce.add(name)
    const ready = results.every(([name, result]) => result === 'ok' || (shared.has(name) && wellOnce.has(name)))
    return { ready, checks: Object.fromEntries(results) }
  }
  return {
    set(name, check, options) {
      checks.set(name, check)
      if (options?.shared) shared.add(name)
      remembered = undefined
    },
    drain() {
      draining = true
    },
    async report() {
      if (draining) return { ready: false, checks: { process: 'shutting down' } }
      if (!remembered || now() - remembered.at > REMEMBER_MS) remembered = { at: now(), report: run() }
      return remembered.report
    },
  }
}

async function outcome(check: ReadinessCheck, deadlineMs: number): Promise<string> {
  const { promise, reject } = Promise.withResolvers<never>()
  const deadline = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs)
  try {
    await Promise.race([Promise.resolve().then(check), promise])
    return 'ok'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(deadline)
  }
}
