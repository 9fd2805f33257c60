/**
 * Our own last write of each object, until the cache has it: whoever decides by a cache that is a moment behind would do
 * and tell things twice.
 */

import { type KubeObject, keyText, type ObjectKey } from './types.ts'

export interface LastWritten<T extends KubeObject> {
  /** The object as it is after our last write, where the cache does not show that yet; else what the cache has. */
  newest(key: ObjectKey, cached: T | undefined): T | undefined
  /** Remembers the answer to a write. `before` is what was written to, as the writer last saw it. */
  wrote(before: T, after: T): void
  /** Forgets what the cache has reached. */
  seen(cached: KubeObject): void
}

export function createLastWritten<T extends KubeObject>(): LastWritten<T> {
  /** By key; `behind` holds every resourceVersion that our writes have left behind. */
  const writes = new Map<string, { behind: Set<string | undefined>; object: T }>()
  const textOf = ({ metadata }: KubeObject) => keyText({ namespace: metadata.namespace ?? '', name: metadata.name })
  return {
    newest(key, cached) {
      const ours = writes.get(keyText(key))
      if (cached && ours?.behind.has(cached.metadata.resourceVersion)) return ours.object
      // The cache has reached it, or shows a write of somebody else that ours may know nothing of.
      writes.delete(keyText(key))
      return cached
    },
    wrote(before, after) {
      const version = before.metadata.resourceVersion
      if (version === after.metadata.resourceVersion) return // it said what was there already
      const known = writes.get(textOf(after))
      const last = known?.object.metadata.resourceVersion
      const ours = known && (last === version || known.behind.has(version)) ? [...known.behind, last] : []
      writes.set(textOf(after), { behind: new Set([...ours, version]), object: after })
    },
    seen(cached) {
      const ours = writes.get(textOf(cached))
      if (ours && ours.object.metadata.resourceVersion === cached.metadata.resourceVersion)
        writes.delete(textOf(cached))
    },
  }
}
