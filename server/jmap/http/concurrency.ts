/** How much of something one account may do at a time. */

/** @param limit asked at every entry */
export function createConcurrencyLimit(limit: () => number) {
  const running = new Map<string, number>()
  return {
    /** @returns what to call at the end; undefined when there are as many as may be */
    enter(accountId: string): (() => void) | undefined {
      const count = running.get(accountId) ?? 0
      if (count >= limit()) return undefined
      running.set(accountId, count + 1)
      let left = false
      return () => {
        if (left) return
        left = true
        const now = (running.get(accountId) ?? 1) - 1
        if (now > 0) running.set(accountId, now)
        else running.delete(accountId)
      }
    },
  }
}
