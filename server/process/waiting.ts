/** Starts what may have to wait for others, and says in /readyz for what. */
import type { Logger } from 'pino'
import { keepTrying } from './keep-trying.ts'
import type { Readiness } from './readiness.ts'

/** Runs `attempt` until it succeeds; meanwhile the readiness check of that name fails with the reason. */
export type Until = <T>(name: string, attempt: () => Promise<T>) => Promise<T>

/** @param signal stops waiting: what is waited for throws its reason */
export function waitingFor(options: { readiness: Readiness; log: Logger; signal: AbortSignal }): Until {
  const { readiness, log, signal } = options
  return async (name, attempt) => {
    const failing = (reason: string) =>
      readiness.set(name, () => {
        throw new Error(reason)
      })
    failing('waiting for it')
    const value = await keepTrying(attempt, {
      signal,
      onFailure(error, delayMs) {
        const reason = error instanceof Error ? error.message : String(error)
        failing(reason)
        log.warn({ waitingFor: name, reason, delayMs }, 'not there yet: trying again')
      },
    })
    readiness.set(name, () => {})
    return value
  }
}
