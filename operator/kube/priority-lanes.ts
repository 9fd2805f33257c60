/** Keys that wait for work, a lane for each priority: what is urgent goes first, and nothing starves. */

/**
 * High: something about it has changed, and somebody waits to see it. Normal: its turn among many, as for what is new.
 * Low: a look at what is most likely as it should be.
 */
export type Priority = (typeof PRIORITIES)[number]

export const PRIORITIES = ['high', 'normal', 'low'] as const

export interface Waiting<K> {
  /** Tells keys apart. */
  text: string
  key: K
  priority: Priority
  /** performance.now() when it came. */
  since: number
}

export interface PriorityLanes<K> {
  /** False when it waits already: then it has the higher of both priorities from now on, and has waited since it came. */
  put(text: string, key: K, priority: Priority): boolean
  /** The next one; undefined while none waits. Within a priority it is who came first. */
  take(): Waiting<K> | undefined
  remove(text: string): void
  size(priority?: Priority): number
  clear(): void
}

/** Of so many that are taken, one is the one that has waited longest, whatever its priority. */
const OLDEST_EVERY = 8

export function createPriorityLanes<K>(now: () => number = () => performance.now()): PriorityLanes<K> {
  // Insertion order is the order of work.
  const lanes: Record<Priority, Map<string, Waiting<K>>> = { high: new Map(), normal: new Map(), low: new Map() }
  const all = PRIORITIES.map((priority) => lanes[priority])
  let taken = 0
  return {
    put(text, key, wanted) {
      const known = all.map((lane) => lane.get(text)).find((waiting) => waiting !== undefined)
      const priority = higher(wanted, known?.priority)
      if (priority === known?.priority) return false
      if (known) lanes[known.priority].delete(text)
      lanes[priority].set(text, { text, key, priority, since: known?.since ?? now() })
      return known === undefined
    },
    take() {
      const heads = all.flatMap((lane) => [...lane.values().take(1)])
      const oldest = (taken + 1) % OLDEST_EVERY === 0
      const [next] = oldest ? heads.toSorted((a, b) => a.since - b.since) : heads
      if (!next) return undefined
      taken += 1
      lanes[next.priority].delete(next.text)
      return next
    },
    remove(text) {
      for (const lane of all) lane.delete(text)
    },
    size: (priority) => (priority ? lanes[priority].size : all.reduce((sum, lane) => sum + lane.size, 0)),
    clear() {
      for (const lane of all) lane.clear()
    },
  }
}

export function higher(one: Priority, other: Priority | undefined): Priority {
  return other === undefined || PRIORITIES.indexOf(one) <= PRIORITIES.indexOf(other) ? one : other
}
