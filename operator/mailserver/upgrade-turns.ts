/**
 * Whose engines may be upgraded now: a bad image must not reach every MailServer at once. Who is in the middle of a
 * rollout is seen in the Deployments, so that a new leader knows it too; who was let in and does not show there yet is
 * remembered. A rollout that Kubernetes gave up gives its turn up too, and whoever takes too long stands in nobody's way
 * any more: one tenant's trouble is not everybody's.
 */

import { keyText, type ObjectKey } from '../kube/types.ts'

export interface UpgradeTurnsOptions {
  /** MailServers at once, at least 1. */
  limit: number
  now: () => Date
  /** Servers whose Deployment is seen to be rolling now. */
  rolling: () => Iterable<ObjectKey>
  /** Called for a server that waits when it may be its turn. */
  onTurn: (key: ObjectKey) => void
}

export interface UpgradeTurns {
  /** Takes a turn, or keeps the one it has; else says which server is in the way ("namespace/name") and remembers to call. */
  take(key: ObjectKey): { taken: true } | { taken: false; busy: string }
  /** Gives the turn back, also one that was only waited for. */
  release(key: ObjectKey): void
  /** For metrics. */
  size(): { taken: number; waiting: number }
}

/**
 * How long a server may be in the way of others: a preflight and a rollout of a few Pods, each with its own deadline. A
 * quota that lets no Pod be made, or a Job that somebody suspends, lasts for ever.
 */
const LONGEST_MS = 60 * 60_000

export function createUpgradeTurns({ limit, now, rolling, onTurn }: UpgradeTurnsOptions): UpgradeTurns {
  const taken = new Map<string, ObjectKey>()
  const waiting = new Map<string, ObjectKey>()
  /** Since when a server has been busy, in ms. */
  const since = new Map<string, number>()

  function busyBeside(text: string): string[] {
    const busy = new Set([...taken.keys(), ...[...rolling()].map(keyText)])
    for (const other of since.keys()) if (!busy.has(other)) since.delete(other)
    for (const other of busy) if (!since.has(other)) since.set(other, +now())
    return [...busy].filter((other) => other !== text && +now() - (since.get(other) ?? 0) < LONGEST_MS)
  }

  return {
    take(key) {
      const text = keyText(key)
      if (!taken.has(text)) {
        const others = busyBeside(text)
        const [busy] = others
        if (busy !== undefined && others.length >= limit) {
          waiting.set(text, key)
          return { taken: false, busy }
        }
      }
      waiting.delete(text)
      taken.set(text, key)
      if (!since.has(text)) since.set(text, +now())
      return { taken: true }
    },

    release(key) {
      const text = keyText(key)
      taken.delete(text)
      waiting.delete(text)
      const [next] = waiting.values()
      if (next && busyBeside(keyText(next)).length < limit) onTurn(next)
    },

    size: () => ({ taken: taken.size, waiting: waiting.size }),
  }
}
