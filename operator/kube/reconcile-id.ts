/** One id per reconcile, in every log line that is written on its behalf: what belongs together is found together. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'

const current = new AsyncLocalStorage<string>()

/** Does `work`, and whatever it starts, under an id of its own. */
export function withReconcileId<T>(work: () => T): T {
  return current.run(randomUUID(), work)
}

/** For a log line, as pino's `mixin`: controller-runtime's name for it, or nothing outside of a reconcile. */
export function reconcileFields(): { reconcileID?: string } {
  const id = current.getStore()
  return id === undefined ? {} : { reconcileID: id }
}
