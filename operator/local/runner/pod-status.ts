/** What the kubelet writes into a Pod's status. Pure. */
import { kubeTime, type Pod, type PodCondition, type TerminatedState } from './objects.ts'

/** State of the one container (core/v1 ContainerState). */
export type ContainerState =
  | { waiting: { reason: string; message?: string } }
  | { running: { startedAt: string } }
  | { terminated: TerminatedState }

export interface PodFacts {
  state: ContainerState
  lastState?: { terminated: TerminatedState }
  restartCount: number
  /** The startup probe passed. */
  started: boolean
  /** The readiness probe says so. */
  ready: boolean
  /** Why not ready, when the probe said it. */
  message?: string
}

/** @param previous the status as last written, for the times of conditions that did not change */
export function podStatus(pod: Pod, facts: PodFacts, previous: Pod['status'], now: Date): NonNullable<Pod['status']> {
  const [container] = pod.spec.containers
  const name = container?.name ?? ''
  const ready = facts.ready && 'running' in facts.state
  const phase = phaseOf(facts)
  const notReady = ready ? {} : whyNotReady(name, phase, facts)
  const conditions = [
    { type: 'PodScheduled', status: 'True' as const },
    { type: 'Initialized', status: 'True' as const },
    { type: 'PodReadyToStartContainers', status: 'True' as const },
    { type: 'ContainersReady', status: ready ? ('True' as const) : ('False' as const), ...notReady },
    { type: 'Ready', status: ready ? ('True' as const) : ('False' as const), ...notReady },
  ].map((condition): PodCondition => {
    const before = previous?.conditions?.find(({ type }) => type === condition.type)
    return {
      ...condition,
      lastTransitionTime: before?.status === condition.status ? before.lastTransitionTime : kubeTime(now),
    }
  })
  const status = {
    phase,
    hostIP: '127.0.0.1',
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    startTime: pod.metadata.creationTimestamp ?? kubeTime(now),
    qosClass: 'BestEffort',
    conditions,
    containerStatuses: [
      {
        name,
        image: container?.image ?? '',
        imageID: '',
        ready,
        started: facts.started,
        restartCount: facts.restartCount,
        state: facts.state,
        lastState: facts.lastState ?? {},
      },
    ],
  }
  return status
}

/** Terminated is told of a container only where it does not start again. */
function phaseOf({ state, restartCount }: PodFacts): string {
  if ('terminated' in state) return state.terminated.exitCode === 0 ? 'Succeeded' : 'Failed'
  return 'running' in state || restartCount > 0 ? 'Running' : 'Pending'
}

function whyNotReady(name: string, phase: string, facts: PodFacts): { reason: string; message?: string } {
  if (phase === 'Succeeded') return { reason: 'PodCompleted' }
  if (phase === 'Failed') return { reason: 'PodFailed' }
  return { reason: 'ContainersNotReady', message: notReadyMessage(name, facts) }
}

function notReadyMessage(name: string, facts: PodFacts): string {
  const why = 'waiting' in facts.state ? (facts.state.waiting.message ?? facts.state.waiting.reason) : facts.message
  return `containers with unready status: [${name}]${why ? `: ${why}` : ''}`
}
