/** The node: runs the Pods that are bound to it and keeps their files up to date. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubeLogger } from '../../kube/logger.ts'
import { keyOf, Pod as PodResource } from '../../kube/resources.ts'
import type { KubeClient, KubeObject, Reflector } from '../../kube/types.ts'
import {
  hasEnded,
  NODE_NAME,
  PID_ANNOTATION,
  PORTS_ANNOTATION,
  type Pod,
  type PodCondition,
  PROCESS_FINALIZER,
} from './objects.ts'
import { type ObjectLookup, referencesOf } from './pod-files.ts'
import { type PodWorker, startPodWorker } from './pod-worker.ts'
import type { ProcessTable } from './process-table.ts'

/** Logs of Pods that are gone. */
const KEPT_DIRECTORIES = 10

export interface NodeDeps {
  client: KubeClient
  logger: KubeLogger
  table: ProcessTable
  pods: Reflector<Pod>
  secrets: Reflector
  configMaps: Reflector
  /** Each Pod has a directory here, named as the Pod. */
  directory: string
  repositoryRoot: string
  inherited: Record<string, string | undefined>
  workers: number
  now: () => Date
  progress: (message: string) => void
}

export interface Node {
  /** Ends every process, without preStop; the Pods stay in the API and are started again by the next run. */
  stop(graceMs: number): Promise<void>
}

/** Call it once the reflectors are synced. */
export function startNode(deps: NodeDeps): Node {
  const { pods, secrets, configMaps, logger } = deps
  const workers = new Map<string, { pod: Pod; worker: PodWorker }>()
  /** By uid, Pods that run to completion and were begun: what the cache tells of them may be older than their end. */
  const ran = new Set<string>()
  let stopped = false

  function look(pod: Pod): void {
    const { uid } = pod.metadata
    if (stopped || uid === undefined || pod.spec.nodeName !== NODE_NAME) return
    const known = workers.get(uid)
    if (known) {
      known.pod = pod
      known.worker.update(pod)
      return
    }
    if (ran.has(uid) || (hasEnded(pod) && !pod.metadata.finalizers?.includes(PROCESS_FINALIZER))) return
    if ((pod.spec.restartPolicy ?? 'Always') !== 'Always') ran.add(uid)
    const directory = join(deps.directory, pod.metadata.name)
    const worker = startPodWorker(pod, { ...deps, directory, lookup: lookupIn(pod.metadata.namespace ?? '') })
    workers.set(uid, { pod, worker })
    void worker.ended
      .then(() => {
        workers.delete(uid)
        return removeOldDirectories(deps.directory, new Set(pods.list().map(({ metadata }) => metadata.name)))
      })
      .catch((error) => logger.warn({ err: error }, 'directories of old Pods not removed'))
  }

  function lookupIn(namespace: string): ObjectLookup {
    return {
      secret: (name) => secrets.get({ namespace, name }),
      configMap: (name) => configMaps.get({ namespace, name }),
    }
  }

  function refreshUsers(object: KubeObject, kind: 'secrets' | 'configMaps'): void {
    for (const { pod, worker } of workers.values()) {
      if (pod.metadata.namespace !== object.metadata.namespace) continue
      if (referencesOf(pod)[kind].has(object.metadata.name)) worker.refresh()
    }
  }

  pods.onChange(({ type, object }) => {
    if (type === 'set') return look(object)
    const uid = object.metadata.uid ?? ''
    ran.delete(uid)
    // The API removed it without waiting for us (a forced deletion): the process must end all the same.
    const known = workers.get(uid)
    void known?.worker.stop({ hurry: false })
  })
  secrets.onChange(({ object }) => refreshUsers(object, 'secrets'))
  configMaps.onChange(({ object }) => refreshUsers(object, 'configMaps'))
  for (const pod of pods.list()) look(pod)

  return {
    async stop(graceMs) {
      stopped = true
      logger.debug({ pods: workers.size }, 'stopping the Pods')
      await Promise.all([...workers.values()].map(({ worker }) => worker.stop({ hurry: true, graceMs })))
    },
  }
}

/** After a run that was killed: no process of it is Ready, whatever the API still says. Its restart counts stay. */
export async function forgetLastRun(client: KubeClient): Promise<void> {
  const { items } = await client.list<Pod>(PodResource)
  for (const pod of items) {
    if (pod.spec.nodeName !== NODE_NAME || !pod.status?.conditions) continue
    const status = { conditions: pod.status.conditions.map((condition) => notReady(condition)) }
    await client.mergePatch(PodResource, keyOf(pod), { status }, { subresource: 'status' })
    const annotations = { [PID_ANNOTATION]: null, [PORTS_ANNOTATION]: null }
    await client.mergePatch(PodResource, keyOf(pod), { metadata: { annotations } })
  }
}

function notReady(condition: PodCondition): PodCondition {
  return ['Ready', 'ContainersReady'].includes(condition.type) ? { ...condition, status: 'False' } : condition
}

/** The Pods of this node, as the API last said. */
export function podsOfNode(pods: Reflector<Pod>): Pod[] {
  return pods.list().filter((pod) => pod.spec.nodeName === NODE_NAME)
}

async function removeOldDirectories(directory: string, keep: ReadonlySet<string>): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  const old = []
  for (const name of names) {
    if (keep.has(name)) continue
    const found = await stat(join(directory, name)).catch(() => undefined)
    if (found?.isDirectory()) old.push({ name, at: found.mtimeMs })
  }
  old.sort((a, b) => b.at - a.at)
  for (const { name } of old.slice(KEPT_DIRECTORIES)) await rm(join(directory, name), { recursive: true, force: true })
}
