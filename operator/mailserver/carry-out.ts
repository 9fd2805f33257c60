/** Does what a plan says, object by object. */

import { APPLIED_HASH, FIELD_MANAGER, SERVER_LABEL } from '../api/group.ts'
import { differs } from '../kube/apply-if-changed.ts'
import { isKubeError, type KubeError, type KubeErrorKind } from '../kube/errors.ts'
import type { KubeClient, KubeObject, Resource } from '../kube/types.ts'
import type { DesiredContext } from './desired/context.ts'
import { idOf, resourceOf } from './kinds.ts'
import { belongsTo, NameTaken } from './ownership.ts'
import type { Plan } from './plan.ts'

/** What cannot be done for good: an immutable field, a missing right, a policy, an object of somebody else. */
export interface Refusal {
  reason: 'ApplyForbidden' | 'ApplyRefused' | NameTaken['name']
  /** Begins with the object, "Service/stalwart". */
  message: string
}

export interface Carried {
  /** Objects as they are after their apply. */
  applied: KubeObject[]
  removed: KubeObject[]
  refusals: Refusal[]
  /** The first thing that went wrong and that another try may mend; the rest was done as far as it could be. */
  failure: KubeError | undefined
}

const REFUSED: readonly KubeErrorKind[] = ['Invalid', 'Forbidden', 'BadRequest']
/** So many calls in a row without an answer, and the API itself is away. */
const UNANSWERED = 2

/**
 * One object that cannot be applied must not keep the others from being mended.
 * @param server whose objects they are
 * @param known.served how kinds of others are served now, by kind
 * @param known.free ids of what was looked for a moment ago and is not there
 */
export async function carryOut(
  plan: Plan,
  server: DesiredContext['server'],
  client: Pick<KubeClient, 'find' | 'apply' | 'delete' | 'mergePatch'>,
  known: { served: Readonly<Partial<Record<string, Resource>>>; free: ReadonlySet<string> },
): Promise<Carried> {
  const { served, free } = known
  async function apply(object: KubeObject): Promise<KubeObject> {
    const resource = resourceOf(object, served)
    if (!plan.unseen.has(idOf(object))) return client.apply(resource, object, { fieldManager: FIELD_MANAGER })
    const { name, namespace = '' } = object.metadata
    const found = free.has(idOf(object)) ? undefined : await client.find(resource, { namespace, name })
    if (found && !belongsTo(server, found)) throw new NameTaken(found, server.name)
    if (found && differs(object, found) === undefined) return found // the cache is a moment behind
    // Without force where there was none: who makes one meanwhile must not lose a field of it.
    return client.apply(resource, object, { fieldManager: FIELD_MANAGER, force: found !== undefined })
  }
  const carried: Carried = { applied: [], removed: [], refusals: [], failure: undefined }
  for (const object of plan.release) {
    const { name, namespace = '' } = object.metadata
    try {
      await client.mergePatch(resourceOf(object, served), { namespace, name }, { metadata: released(object, server) })
    } catch (error) {
      if (!isKubeError(error)) throw error
      carried.failure ??= error
    }
  }
  let unanswered = 0
  for (const object of plan.apply) {
    // Pods must not begin with what somebody else has in place of ours; any other refusal must not keep them away.
    const isTaken = carried.refusals.some(({ reason }) => reason === 'NameTaken')
    if (object.kind === 'Deployment' && plan.unseen.has(idOf(object)) && isTaken) continue
    try {
      carried.applied.push(await apply(object))
      unanswered = 0
    } catch (error) {
      if (!(error instanceof NameTaken) && !isKubeError(error)) throw error
      const refusal = refusalOf(object, error)
      if (refusal) carried.refusals.push(refusal)
      else if (isKubeError(error)) carried.failure ??= error
      unanswered = isKubeError(error) && error.code === 0 ? unanswered + 1 : 0
      if (unanswered >= UNANSWERED) break
    }
  }
  // What stands in for something that is not there yet stays until it is.
  if (carried.failure) return carried
  for (const object of plan.remove) {
    const { name, namespace = '', uid } = object.metadata
    // Said, because a Job that is deleted leaves its Pods behind unless told otherwise.
    const options = { propagationPolicy: 'Background', ...(uid ? { uid } : {}) } as const
    try {
      if (await client.delete(resourceOf(object, served), { namespace, name }, options)) carried.removed.push(object)
    } catch (error) {
      if (!isKubeError(error)) throw error
      carried.failure ??= error
    }
  }
  return carried
}

/** Without owner and marks of ours: should the spec want one of its own of that name again, it says that it is taken. */
function released({ metadata }: KubeObject, { uid }: DesiredContext['server']): Record<string, unknown> {
  const { resourceVersion, ownerReferences = [] } = metadata
  return {
    resourceVersion,
    ownerReferences: ownerReferences.filter((owner) => owner.uid !== uid),
    labels: { [SERVER_LABEL]: null, 'app.kubernetes.io/managed-by': null },
    annotations: { [APPLIED_HASH]: null },
  }
}

/** Undefined where another try may mend it. */
function refusalOf(object: KubeObject, error: KubeError | NameTaken): Refusal | undefined {
  if (error instanceof NameTaken) return { reason: error.name, message: error.message }
  if (!REFUSED.includes(error.kind)) return undefined
  const reason = error.kind === 'Forbidden' ? 'ApplyForbidden' : 'ApplyRefused'
  return { reason, message: `${idOf(object)}: ${error.message}` }
}
