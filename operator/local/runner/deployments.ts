/** The Deployment controller: a ReplicaSet per template, scaled so that a change rolls as the strategy says. */
import { canonicalHash } from '../../kube/apply-if-changed.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { Deployment as DeploymentResource, ReplicaSet as ReplicaSetResource } from '../../kube/resources.ts'
import type { KubeClient, ObjectKey } from '../../kube/types.ts'
import { deploymentStatus } from './deployment-status.ts'
import { controllerUid, type Deployment, isPodActive, isPodReady, type ReplicaSet, selectorText } from './objects.ts'
import { podsOf } from './replica-sets.ts'
import { nextScale, type SetCount } from './rollout.ts'

const HASH_LABEL = 'pod-template-hash'
const REVISION = 'deployment.kubernetes.io/revision'
/** While a rollout is under way, look again for its deadline. */
const PROGRESS_MS = 10_000

export interface DeploymentDeps {
  client: KubeClient
  logger: KubeLogger
  now: () => Date
}

/** @returns when to look again while a rollout is under way */
export async function reconcileDeployment(key: ObjectKey, deps: DeploymentDeps): Promise<number | undefined> {
  const { client, logger } = deps
  const deployment = await client.find<Deployment>(DeploymentResource, key)
  if (!deployment || deployment.metadata.deletionTimestamp) return undefined
  const sets = await setsOf(client, deployment)
  const name = `${deployment.metadata.name}-${templateHash(deployment)}`
  let current = sets.find(({ metadata }) => metadata.name === name)
  if (!current) {
    current = await client.create<ReplicaSet>(ReplicaSetResource, newSet(deployment, name, revisionOf(sets) + 1))
    logger.info({ deployment: key.name, replicaSet: name }, 'rollout begins')
  }
  const old = sets.filter(({ metadata }) => metadata.name !== name)
  const counts = new Map<string, SetCount>()
  for (const set of [current, ...old]) counts.set(set.metadata.name, await countOf(client, set))
  const counted = (set: ReplicaSet): SetCount =>
    counts.get(set.metadata.name) ?? { name: set.metadata.name, wanted: 0, existing: 0, available: 0 }
  if (!deployment.spec.paused) {
    for (const [set, replicas] of nextScale(deployment, counted(current), old.map(counted))) {
      await client.mergePatch(ReplicaSetResource, { ...key, name: set }, { spec: { replicas } })
      logger.info({ deployment: key.name, replicaSet: set, replicas }, 'replica set scaled')
    }
    await keepRevision(client, key, current, old)
  }
  await removeHistory(client, key, deployment, old, counted)
  const status = deploymentStatus(deployment, counted(current), old.map(counted), deps.now())
  if (canonicalHash(status) !== canonicalHash(deployment.status ?? {})) {
    await client.mergePatch(DeploymentResource, key, { status }, { subresource: 'status' })
  }
  return status.unavailableReplicas || old.some((set) => counted(set).existing > 0) ? PROGRESS_MS : undefined
}

async function setsOf(client: KubeClient, deployment: Deployment): Promise<ReplicaSet[]> {
  const { items } = await client.list<ReplicaSet>(ReplicaSetResource, {
    namespace: deployment.metadata.namespace ?? '',
    labelSelector: selectorText(deployment.spec.selector.matchLabels),
  })
  return items.filter((set) => controllerUid(set) === deployment.metadata.uid && !set.metadata.deletionTimestamp)
}

async function countOf(client: KubeClient, set: ReplicaSet): Promise<SetCount> {
  const pods = await podsOf(client, set)
  return {
    name: set.metadata.name,
    wanted: set.spec.replicas ?? 1,
    existing: pods.filter(isPodActive).length,
    available: pods.filter(isPodReady).length,
  }
}

function templateHash(deployment: Deployment): string {
  return canonicalHash(deployment.spec.template).slice(0, 10)
}

function revisionOf(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map((set) => Number(set.metadata.annotations?.[REVISION]) || 0))
}

function newSet(deployment: Deployment, name: string, revision: number): ReplicaSet {
  const { template, selector } = deployment.spec
  const hash = { [HASH_LABEL]: templateHash(deployment) }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      namespace: deployment.metadata.namespace ?? '',
      labels: { ...template.metadata?.labels, ...hash },
      annotations: { [REVISION]: String(revision) },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          name: deployment.metadata.name,
          uid: deployment.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      replicas: 0,
      selector: { matchLabels: { ...selector.matchLabels, ...hash } },
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...hash } },
      },
    },
  }
}

/** A template that was used before is current again: its set gets the highest revision. */
async function keepRevision(
  client: KubeClient,
  key: ObjectKey,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): Promise<void> {
  const newest = revisionOf(old)
  if (revisionOf([current]) > newest) return
  const patch = { metadata: { annotations: { [REVISION]: String(newest + 1) } } }
  await client.mergePatch(ReplicaSetResource, { ...key, name: current.metadata.name }, patch)
}

async function removeHistory(
  client: KubeClient,
  key: ObjectKey,
  deployment: Deployment,
  old: readonly ReplicaSet[],
  counted: (set: ReplicaSet) => SetCount,
): Promise<void> {
  const idle = old.filter((set) => counted(set).wanted === 0 && counted(set).existing === 0)
  idle.sort((a, b) => revisionOf([b]) - revisionOf([a]))
  for (const set of idle.slice(deployment.spec.revisionHistoryLimit ?? 10)) {
    await client.delete(ReplicaSetResource, { ...key, name: set.metadata.name })
  }
}
