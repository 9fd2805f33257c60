/** The Job controller: a Pod at a time until one has succeeded, or the Job has failed. */
import { canonicalHash } from '../../kube/apply-if-changed.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { Job as JobResource, Pod as PodResource } from '../../kube/resources.ts'
import type { KubeClient, ObjectKey } from '../../kube/types.ts'
import { isJobFinished, planJob } from './job-status.ts'
import { controllerUid, type Job, type Pod, selectorText } from './objects.ts'
import { podFromTemplate } from './pod-from-template.ts'

export interface JobDeps {
  client: KubeClient
  logger: KubeLogger
  now: () => Date
}

/** @returns when to look again, for the deadline or the next attempt */
export async function reconcileJob(key: ObjectKey, { client, logger, now }: JobDeps): Promise<number | undefined> {
  const job = await client.find<Job>(JobResource, key)
  if (!job || job.metadata.deletionTimestamp || job.spec.suspend || isJobFinished(job)) return undefined
  const { status, create, remove, againMs } = planJob(job, await podsOf(client, job), now())
  for (const { metadata } of remove) {
    const uid = metadata.uid === undefined ? {} : { uid: metadata.uid }
    await client.delete(PodResource, { ...key, name: metadata.name }, uid)
    logger.info({ pod: metadata.name, job: key.name }, 'pod deleted')
  }
  for (let made = 0; made < create; made++) {
    const pod = await client.create<Pod>(PodResource, podFromTemplate(job, job.spec.template))
    logger.info({ pod: pod.metadata.name, job: key.name }, 'pod created')
  }
  if (canonicalHash(status) !== canonicalHash(job.status ?? {})) {
    await client.mergePatch(JobResource, key, { status }, { subresource: 'status' })
    const last = status.conditions?.at(-1)
    if (last) logger.info({ job: key.name, type: last.type, reason: last.reason, message: last.message }, 'job ends')
  }
  return againMs
}

/** Read from the API: a cache may lag behind what we just did. */
async function podsOf(client: KubeClient, job: Job): Promise<Pod[]> {
  const { items } = await client.list<Pod>(PodResource, {
    namespace: job.metadata.namespace ?? '',
    labelSelector: selectorText(job.spec.selector?.matchLabels),
  })
  return items.filter((pod) => controllerUid(pod) === job.metadata.uid)
}
