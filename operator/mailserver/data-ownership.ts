/**
 * Whose data is: database, DKIM keys, the operator's CA, and what tells where the backups are. While a MailServer lives
 * its data is nobody's, so nothing that becomes of it in whatever order can take the data along. At its end, and only
 * then, deletionPolicy Delete hands the data to the garbage collector, as a dependent of what goes.
 */

import type { MailServer } from '../api/mail-server.ts'
import { isKubeError } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeObject, OwnerReference } from '../kube/types.ts'
import { ownerReference } from './desired/context.ts'
import { adminSecretName } from './desired/names.ts'
import { BUILT_IN } from './kinds.ts'
import { isData } from './ownership.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

type Deps = Pick<ReconcileDeps, 'client' | 'caches'>

/**
 * @param server one that is being deleted and still has our finalizer
 * @throws KubeError: then it must not go yet, because what an older operator owned would go along
 */
export async function settleData(server: MailServer, deps: Deps): Promise<void> {
  const { name, namespace = '', uid = '' } = server.metadata
  const reference = ownerReference({ name, namespace, uid })
  const goes = server.spec.deletionPolicy === 'Delete' && !(await isOrphaning(server, deps))
  const kinds = {
    Cluster: await deps.caches.optional('Cluster', namespace),
    ObjectStore: await deps.caches.optional('ObjectStore', namespace),
    ScheduledBackup: await deps.caches.optional('ScheduledBackup', namespace),
  }
  for (const object of deps.caches.childrenOf({ namespace, name }).values()) {
    const resource = BUILT_IN.find(({ kind }) => kind === object.kind) ?? kinds[object.kind as keyof typeof kinds]
    if (!resource || !(isData(object) || object.kind === 'ScheduledBackup')) continue
    const ownerReferences = ownersAfter(object.metadata.ownerReferences ?? [], reference, goes)
    if (!ownerReferences) continue
    const { resourceVersion, name: own } = object.metadata
    try {
      // With the resourceVersion: an owner that somebody else set meanwhile must not be lost.
      await deps.client.mergePatch(
        resource,
        { namespace, name: own },
        { metadata: { resourceVersion, ownerReferences } },
      )
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error
    }
  }
}

/** @returns undefined where nothing is to be changed: who has another controller is not ours to give away */
function ownersAfter(
  owners: readonly OwnerReference[],
  reference: OwnerReference,
  goes: boolean,
): OwnerReference[] | undefined {
  const ours = owners.some(({ uid }) => uid === reference.uid)
  if (!goes) return ours ? owners.filter(({ uid }) => uid !== reference.uid) : undefined
  return ours || owners.some(({ controller }) => controller) ? undefined : [...owners, reference]
}

/** `kubectl delete --cascade=orphan`: the garbage collector takes the owner away from what has one, as asked. */
async function isOrphaning({ metadata }: MailServer, { client }: Pick<Deps, 'client'>): Promise<boolean> {
  const { name, namespace = '', uid, finalizers = [] } = metadata
  if (finalizers.includes('orphan')) return true
  const admin: KubeObject | undefined = await client.find(Secret, { namespace, name: adminSecretName(name) })
  return admin !== undefined && !admin.metadata.ownerReferences?.some((owner) => owner.uid === uid)
}
