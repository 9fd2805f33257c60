/** What has to be done so that what is becomes what is desired. Pure. */

import { APPLIED_HASH, MANAGED_BY } from '../api/group.ts'
import { needsApply, withHash } from '../kube/apply-if-changed.ts'
import type { KubeObject } from '../kube/types.ts'
import { idOf } from './kinds.ts'
import { isData } from './ownership.ts'

export interface Plan {
  /** In order; each carries its applied hash, and data that is there its uid. */
  apply: KubeObject[]
  /** Ids of those to be applied that are not among the server's objects: not there, or of somebody else. */
  unseen: Set<string>
  /** Ours until the spec named them as the user's. */
  release: KubeObject[]
  /** Ours, and no longer desired. */
  remove: KubeObject[]
}

/**
 * @param desired in the order in which they are to be applied
 * @param live the server's objects by id, of others too
 * @param owner uid of the MailServer: what it does not own is never removed (Secrets of others)
 * @param keep ids that stay although nothing desires them now: what they are made of cannot be seen at the moment, or
 *   something still uses them
 * @param given ids of what the spec names as the user's
 */
export function planChanges(
  desired: readonly KubeObject[],
  live: ReadonlyMap<string, KubeObject>,
  owner: string,
  keep: ReadonlySet<string> = new Set(),
  given: ReadonlySet<string> = new Set(),
): Plan {
  const wanted = new Set(desired.map(idOf))
  const unwanted = [...live.values()].filter((object) => isOurs(object, owner) && !wanted.has(idOf(object)))
  return {
    unseen: new Set([...wanted].filter((id) => !live.has(id))),
    apply: desired
      .filter((object) => needsApply(object, live.get(idOf(object)), APPLIED_HASH))
      .map((object) => onlyThat(withHash(object, APPLIED_HASH), live.get(idOf(object)))),
    release: unwanted.filter((object) => given.has(idOf(object))),
    remove: unwanted.filter((object) => !isData(object) && !keep.has(idOf(object)) && !given.has(idOf(object))),
  }
}

/**
 * An apply makes what is not there. Data that went a moment ago, unheard of by the cache, must not be followed by something
 * empty of its name.
 */
function onlyThat(object: KubeObject, there: KubeObject | undefined): KubeObject {
  const uid = there && isData(object) ? there.metadata.uid : undefined
  return uid ? { ...object, metadata: { ...object.metadata, uid } } : object
}

/** Made by us for exactly this MailServer: label, hash and controlling owner all say so. */
function isOurs(object: KubeObject, owner: string): boolean {
  const { labels, annotations, ownerReferences, deletionTimestamp } = object.metadata
  return (
    !deletionTimestamp &&
    labels?.['app.kubernetes.io/managed-by'] === MANAGED_BY &&
    annotations?.[APPLIED_HASH] !== undefined &&
    // Backups of retained data go on without an owner; a spec that does not want them ends them all the same.
    (object.kind === 'ScheduledBackup' ||
      (ownerReferences ?? []).some((reference) => reference.controller === true && reference.uid === owner))
  )
}
