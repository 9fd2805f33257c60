/** What has to be done so that what is becomes what is desired. Pure. */

import { APPLIED_HASH, MANAGED_BY } from '../api/group.ts'
import { needsApply, withHash } from '../kube/apply-if-changed.ts'
import type { KubeObject } from '../kube/types.ts'
import { idOf } from './kinds.ts'

export interface Plan {
  /** In order; each carries its applied hash. */
  apply: KubeObject[]
  /** Ours, and no longer desired. */
  remove: KubeObject[]
}

/**
 * @param desired in the order in which they are to be applied
 * @param live the server's objects by id, of others too
 * @param owner uid of the MailServer: what it does not own is never removed (retained data, Secrets of others)
 * @param keep ids that stay although nothing desires them now: what they are made of cannot be seen at the moment
 */
export function planChanges(
  desired: readonly KubeObject[],
  live: ReadonlyMap<string, KubeObject>,
  owner: string,
  keep: ReadonlySet<string> = new Set(),
): Plan {
  const wanted = new Set(desired.map(idOf))
  return {
    apply: desired
      .filter((object) => needsApply(object, live.get(idOf(object)), APPLIED_HASH))
      .map((object) => withHash(object, APPLIED_HASH)),
    remove: [...live.values()].filter(
      (object) => isOurs(object, owner) && !wanted.has(idOf(object)) && !keep.has(idOf(object)),
    ),
  }
}

/** Made by us for exactly this MailServer: label, hash and controlling owner all say so. */
function isOurs(object: KubeObject, owner: string): boolean {
  const { labels, annotations, ownerReferences, deletionTimestamp } = object.metadata
  return (
    !deletionTimestamp &&
    labels?.['app.kubernetes.io/managed-by'] === MANAGED_BY &&
    annotations?.[APPLIED_HASH] !== undefined &&
    (ownerReferences ?? []).some((reference) => reference.controller === true && reference.uid === owner)
  )
}
