/** Plans and carries out: what is desired now, what stays for the time being, what goes. */

import { APPLIED_HASH } from '../api/group.ts'
import { needsApply } from '../kube/apply-if-changed.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { type Carried, carryOut } from './carry-out.ts'
import { leadsToPooler } from './database-url.ts'
import { rolloutOf } from './dependencies/engine.ts'
import type { Statement } from './dependencies/statement.ts'
import type { DesiredContext } from './desired/context.ts'
import { poolerName, tlsSecretName } from './desired/names.ts'
import { desiredObjects } from './desired/objects.ts'
import { keptForRecovery } from './desired/recovery.ts'
import { referencedSecrets } from './desired/references.ts'
import { idFor, idOf } from './kinds.ts'
import type { Material } from './material.ts'
import type { Observed } from './observe.ts'
import { planChanges } from './plan.ts'

export interface ActInput {
  context: DesiredContext
  observed: Observed
  material: Material
  /** Dependencies without which the first Pods are not started. */
  blocked: readonly Statement[]
  /** Ids of what is known not to be there. */
  free: ReadonlySet<string>
  /** Of an upgrade, while it is desired. */
  preflight: KubeObject | undefined
}

/**
 * The first Pods wait for what they need; what comes later never does: it may be the cure.
 * @throws KubeError for what another try may mend
 */
export async function act(
  { context, observed, material, blocked, free, preflight }: ActInput,
  client: Pick<KubeClient, 'find' | 'apply' | 'delete' | 'mergePatch'>,
): Promise<Carried> {
  const deployment = idFor({ kind: 'Deployment' }, context.server.name)
  const live = observed.children.get(deployment)
  const first = live === undefined
  const desired = [...desiredObjects(context), ...(preflight ? [preflight] : [])].filter(
    (object) => !(first && blocked.length > 0 && idOf(object) === deployment),
  )
  // What is made of something that cannot be seen just now stays as it is.
  const keep = new Set([
    deployment,
    idFor({ kind: 'ConfigMap' }, `${context.server.name}-config`),
    idFor({ kind: 'Secret' }, `${context.server.name}-db-credentials`),
    ...keptForRecovery(context.server.name, context.spec, context.facts.cluster),
    // cert-manager writes its certificate into the Secret of ours, which serves until then.
    ...(context.spec.tls.issuerRef ? [idFor({ kind: 'Secret' }, tlsSecretName(context.server.name))] : []),
    ...(material.dkimTrouble.length > 0
      ? [...observed.children.keys()].filter((id) => id.startsWith(`Secret/${context.server.name}-dkim`))
      : []),
  ])
  const settled = hasSettled(live, desired)
  if (live && !(settled && !leadsToPooler(context.facts.databaseUrl, context.server))) {
    keep.add(idFor({ kind: 'Pooler' }, poolerName(context.server.name)))
  }
  // A Pod of before that is started anew mounts what it was made with.
  if (!settled) for (const id of observed.children.keys()) if (id.startsWith(`${Secret.kind}/`)) keep.add(id)
  const given = new Set(referencedSecrets(context.spec).map((name) => idFor(Secret, name)))
  const plan = planChanges(desired, observed.children, context.server.uid, keep, given)
  plan.remove.push(...material.retired.filter((secret) => !plan.remove.includes(secret)))
  return carryOut(plan, context.server, client, { served: observed.served, free })
}

/** Every Pod there is has the template that is desired; those on their way out count until they are gone. */
function hasSettled(live: KubeObject | undefined, desired: readonly KubeObject[]): boolean {
  if (!live) return true
  const next = desired.find((object) => idOf(object) === idOf(live))
  const { done, terminating } = rolloutOf(live)
  return next !== undefined && !needsApply(next, live, APPLIED_HASH) && done && terminating === 0
}
