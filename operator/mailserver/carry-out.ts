/** Does what a plan says, object by object. */

import { FIELD_MANAGER } from '../api/group.ts'
import { isKubeError, type KubeError } from '../kube/errors.ts'
import type { KubeClient, KubeObject, Resource } from '../kube/types.ts'
import { BUILT_IN, idOf } from './kinds.ts'
import type { Plan } from './plan.ts'

/** What the API refused for good: an immutable field, a missing right, a policy. */
export interface Refusal {
  /** "Service/stalwart". */
  id: string
  error: KubeError
}

export interface Carried {
  /** Objects as they are after their apply. */
  applied: KubeObject[]
  removed: KubeObject[]
  refusals: Refusal[]
}

/**
 * @param optional how kinds of others are served now, by kind
 * @throws KubeError for what another try may mend; what was done until then stays done
 */
export async function carryOut(
  plan: Plan,
  client: Pick<KubeClient, 'apply' | 'delete'>,
  optional: Readonly<Record<string, Resource | undefined>>,
): Promise<Carried> {
  const carried: Carried = { applied: [], removed: [], refusals: [] }
  const resourceOf = (object: KubeObject) =>
    BUILT_IN.find(({ kind }) => kind === object.kind) ?? optional[object.kind] ?? unknownKind(object)
  for (const object of plan.apply) {
    try {
      carried.applied.push(await client.apply(resourceOf(object), object, { fieldManager: FIELD_MANAGER }))
    } catch (error) {
      // One refused object must not keep the others from being mended.
      if (!isKubeError(error, 'Invalid', 'Forbidden', 'BadRequest')) throw error
      carried.refusals.push({ id: idOf(object), error })
    }
  }
  for (const object of plan.remove) {
    const { name, namespace = '', uid } = object.metadata
    const gone = await client.delete(resourceOf(object), { namespace, name }, uid ? { uid } : {})
    if (gone) carried.removed.push(object)
  }
  return carried
}

function unknownKind(object: KubeObject): never {
  throw new TypeError(`${object.kind} is not among the kinds of a MailServer`)
}
