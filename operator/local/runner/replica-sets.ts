/** The ReplicaSet controller: as many Pods as spec.replicas says. */
import type { KubeLogger } from '../../kube/logger.ts'
import { Pod as PodResource, ReplicaSet as ReplicaSetResource } from '../../kube/resources.ts'
import type { KubeClient, ObjectKey } from '../../kube/types.ts'
import {
  controllerUid,
  isPodActive,
  isPodReady,
  type Pod,
  type ReplicaSet,
  type ReplicaSetStatus,
  selectorText,
} from './objects.ts'
import { podFromTemplate } from './pod-from-template.ts'

/** Pods made or removed in one round; the next change brings the next round. */
const BURST = 20

/** The Pods that a ReplicaSet controls, read from the API (a cache may lag behind what we just did). */
export async function podsOf(client: KubeClient, set: ReplicaSet): Promise<Pod[]> {
  const { items } = await client.list<Pod>(PodResource, {
    namespace: set.metadata.namespace ?? '',
    labelSelector: selectorText(set.spec.selector.matchLabels),
  })
  return items.filter((pod) => controllerUid(pod) === set.metadata.uid)
}

export async function reconcileReplicaSet(
  key: ObjectKey,
  { client, logger }: { client: KubeClient; logger: KubeLogger },
): Promise<undefined> {
  const set = await client.find<ReplicaSet>(ReplicaSetResource, key)
  if (!set || set.metadata.deletionTimestamp) return
  const active = (await podsOf(client, set)).filter(isPodActive)
  const wanted = set.spec.replicas ?? 1
  for (let count = active.length; count < Math.min(wanted, active.length + BURST); count++) {
    const pod = await client.create<Pod>(PodResource, podFromTemplate(set, set.spec.template))
    logger.info({ pod: pod.metadata.name, replicaSet: key.name }, 'pod created')
  }
  const surplus = [...active].sort(byUsefulness).slice(0, Math.max(0, active.length - wanted))
  for (const pod of surplus.slice(0, BURST)) {
    await client.delete(PodResource, { ...key, name: pod.metadata.name }, deleteOptions(pod))
    logger.info({ pod: pod.metadata.name, replicaSet: key.name }, 'pod deleted')
  }
  await writeStatus(
    client,
    set,
    active.filter((pod) => !surplus.includes(pod)),
  )
}

function deleteOptions(pod: Pod): { uid?: string } {
  return pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }
}

/** The least useful first: not ready, then the youngest (ActivePodsWithRanks). */
function byUsefulness(a: Pod, b: Pod): number {
  const ready = Number(isPodReady(a)) - Number(isPodReady(b))
  const age = (pod: Pod): number => Date.parse(pod.metadata.creationTimestamp ?? '') || 0
  return ready || age(b) - age(a) || (a.metadata.name < b.metadata.name ? 1 : -1)
}

async function writeStatus(client: KubeClient, set: ReplicaSet, pods: readonly Pod[]): Promise<void> {
  const ready = pods.filter(isPodReady).length
  const status: ReplicaSetStatus = {
    replicas: pods.length,
    readyReplicas: ready,
    availableReplicas: ready,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
  }
  const now = set.status ?? {}
  const same = (Object.keys(status) as (keyof ReplicaSetStatus)[]).every((name) => (now[name] ?? 0) === status[name])
  if (same) return
  const key = { namespace: set.metadata.namespace ?? '', name: set.metadata.name }
  await client.mergePatch(ReplicaSetResource, key, { status }, { subresource: 'status' })
}
