/** Reflectors → queue → reconcile: one controller, and several run together. */

import type { KubeLogger } from './logger.ts'
import type { KubeMetrics } from './metrics.ts'
import type { Priority } from './priority-lanes.ts'
import type { Change, KubeObject, ObjectKey, Reflector } from './types.ts'
import { createWorkQueue, type WorkQueue, type WorkQueueOptions } from './work-queue.ts'

/** Where keys come from: changes of a cache, and which objects of ours each concerns. */
export interface Source {
  /** The cache must be filled before the first reconcile. */
  synced: Promise<void>
  connect(add: (key: ObjectKey, priority: Priority) => void): void
}

/**
 * A source from a reflector; `keysOf` names the objects to look at after a change, none to ignore it.
 * @param priorityOf default: what happens goes first, what was there before can wait
 */
export function sourceOf<T extends KubeObject>(
  reflector: Reflector<T>,
  keysOf: (change: Change<T>) => readonly ObjectKey[],
  priorityOf: (change: Change<T>) => Priority = ({ isInInitialList }) => (isInInitialList ? 'low' : 'high'),
): Source {
  return {
    synced: reflector.synced,
    connect(add) {
      reflector.onChange((change) => {
        for (const key of keysOf(change)) add(key, priorityOf(change))
      })
    },
  }
}

/** The object itself, for the kind a controller reconciles. */
export function itself(change: Change): ObjectKey[] {
  return [{ namespace: change.object.metadata.namespace ?? '', name: change.object.metadata.name }]
}

/**
 * For the kind a controller reconciles, which tells in status.observedGeneration what was seen of it: a thousand that
 * are new, or that a new leader finds, must not keep anybody waiting who changes one.
 */
export function ownPriority({ type, object, previous }: Change): Priority {
  if (type === 'deleted' || (previous && previous !== object)) return 'high'
  const { observedGeneration } = (object.status ?? {}) as { observedGeneration?: number }
  return observedGeneration === object.metadata.generation ? 'low' : 'normal'
}

/** The owner by ownerReferences, where it is of that kind: for objects a controller made. */
export function ownersOf(apiGroup: string, kind: string): (change: Change) => ObjectKey[] {
  return ({ object }) =>
    (object.metadata.ownerReferences ?? [])
      .filter((owner) => owner.kind === kind && owner.apiVersion.split('/')[0] === apiGroup)
      .map((owner) => ({ namespace: object.metadata.namespace ?? '', name: owner.name }))
}

/**
 * True when a change of a resource with a status is more than its status: generation, labels, annotations or
 * deletionTimestamp. Without this, each status write of ours would make us reconcile again.
 */
export function moreThanStatus({ type, object, previous }: Change): boolean {
  if (type === 'deleted' || !previous || previous === object) return true
  const before = previous.metadata
  const after = object.metadata
  return (
    before.generation !== after.generation ||
    before.deletionTimestamp !== after.deletionTimestamp ||
    JSON.stringify([before.labels, before.annotations, before.finalizers]) !==
      JSON.stringify([after.labels, after.annotations, after.finalizers])
  )
}

export interface ControllerOptions {
  name: string
  sources: readonly Source[]
  /** As WorkQueueOptions.handle. */
  reconcile: WorkQueueOptions<ObjectKey>['handle']
  workers?: number
  deadlineMs?: number
}

export interface ControllerDeps {
  logger?: KubeLogger
  metrics?: KubeMetrics
}

/** A controller whose queue fills from its sources at once, and is worked on after `start`. */
export interface Controller {
  readonly name: string
  readonly queue: WorkQueue<ObjectKey>
  /** Waits for the caches, then works. Call it as the leader. */
  start(): Promise<void>
  stop(graceMs?: number): Promise<void>
}

export function createController(options: ControllerOptions, deps: ControllerDeps = {}): Controller {
  const queueOptions: WorkQueueOptions<ObjectKey> = { ...deps, name: options.name, handle: options.reconcile }
  if (options.workers !== undefined) queueOptions.workers = options.workers
  if (options.deadlineMs !== undefined) queueOptions.deadlineMs = options.deadlineMs
  const queue = createWorkQueue(queueOptions)
  for (const source of options.sources) source.connect(queue.add)
  return {
    name: options.name,
    queue,
    async start() {
      // Reconciling from half a cache would take what is not seen yet for missing.
      await Promise.all(options.sources.map((source) => source.synced))
      deps.logger?.info({ controller: options.name, ready: queue.size().ready }, 'controller: caches filled, working')
      queue.start()
    },
    stop: (graceMs) => queue.stop(graceMs),
  }
}

/** Starts all; disposing stops all at once, letting running work end within the grace period. */
export async function runControllers(
  controllers: readonly Controller[],
  options: { graceMs?: number } = {},
): Promise<AsyncDisposable> {
  await Promise.all(controllers.map((controller) => controller.start()))
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(controllers.map((controller) => controller.stop(options.graceMs)))
    },
  }
}
