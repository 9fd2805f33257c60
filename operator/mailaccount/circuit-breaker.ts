/**
 * A circuit breaker for engines. One that accepts calls and never answers costs each its whole deadline, and a thousand
 * accounts of it would keep the workers from the accounts of everybody else. After a call that had no answer in time
 * nobody calls for a while, then one does, for all.
 */

import type { AccountAnswer, AdminApi } from './admin-api.ts'

/** Without a call, after one that had no answer. */
const OPEN_MS = 30_000

interface Circuit {
  /** now() from which on it is tried again. */
  until: number
  /** One is trying; the others have its predecessor's answer. */
  trying: boolean
  answer: AccountAnswer
}

/** @returns what guards the API of one origin; all that guard the same origin know of each other */
export function createCircuitBreaker(
  now: () => number = () => performance.now(),
): (origin: string, api: AdminApi) => AdminApi {
  /** Of origins whose last call had no answer. */
  const open = new Map<string, Circuit>()

  async function guarded(origin: string, call: () => Promise<AccountAnswer>): Promise<AccountAnswer> {
    const circuit = open.get(origin)
    if (circuit && (circuit.trying || now() < circuit.until)) return circuit.answer
    if (circuit) circuit.trying = true
    try {
      const answer = await call()
      open.delete(origin)
      if (answer.kind === 'unavailable' && answer.timedOut) {
        forgetOld()
        open.set(origin, { until: now() + OPEN_MS, trying: false, answer })
      }
      return answer
    } catch (error) {
      open.delete(origin) // no call at all: who does not lead changes nothing
      throw error
    }
  }

  /** Origins are addresses of Pods, which come and go. */
  function forgetOld(): void {
    for (const [origin, { until, trying }] of open) if (!trying && now() > until + OPEN_MS) open.delete(origin)
  }

  return (origin, api) => ({
    put: (body) => guarded(origin, () => api.put(body)),
    get: (address) => guarded(origin, () => api.get(address)),
    remove: (address) => guarded(origin, () => api.remove(address)),
  })
}
