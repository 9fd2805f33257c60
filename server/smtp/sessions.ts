/** How many sessions a process holds, in all and per client address: refused above with 421 4.7.0. */
import type { Limits } from '../config.ts'

export interface SessionCounter {
  /** Counts a session in. @returns false when it is one too many: it is not counted then */
  enter(address: string): boolean
  leave(address: string): void
  total(): number
}

/** @param limits read at every call, so that a changed configuration holds for the next session */
export function createSessionCounter(
  limits: () => Pick<Limits, 'sessionsPerProcess' | 'sessionsPerAddress'>,
): SessionCounter {
  const perAddress = new Map<string, number>()
  let total = 0
  return {
    enter(address) {
      const { sessionsPerProcess, sessionsPerAddress } = limits()
      const before = perAddress.get(address) ?? 0
      if (total >= sessionsPerProcess || before >= sessionsPerAddress) return false
      perAddress.set(address, before + 1)
      total++
      return true
    },
    leave(address) {
      const before = perAddress.get(address) ?? 0
      if (before <= 0) return
      if (before === 1) perAddress.delete(address)
      else perAddress.set(address, before - 1)
      total--
    },
    total: () => total,
  }
}
