/** Waiting for a cache that was just begun, within bounds: a list that never comes must not hold a reconcile for ever. */

import { KubeError } from './errors.ts'
import type { Reflector, Resource } from './types.ts'

const SYNC_MS = 10_000

/**
 * Resolves once the first list is in or refused (Reflector.unreadable tells).
 * @throws KubeError Timeout when neither comes
 */
export async function untilSynced({ synced }: Pick<Reflector, 'synced'>, { plural, group }: Resource): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const text = `${plural}.${group}: the list does not come; may the operator watch them?`
    timer = setTimeout(() => reject(new KubeError(text, { kind: 'Timeout', code: 0 })), SYNC_MS)
  })
  try {
    await Promise.race([synced, late])
  } finally {
    clearTimeout(timer)
  }
}
