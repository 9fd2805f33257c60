/** What a Job needs next, and its status, from its Pods. Pure; after pkg/controller/job/job_controller.go (Kubernetes 1.36). */
import { failureAction } from './job-failure.ts'
import {
  hasEnded,
  isPodActive,
  isPodReady,
  type Job,
  type JobCondition,
  type JobStatus,
  kubeTime,
  type Pod,
} from './objects.ts'

/** Between failures. The real one's begin at 10 s and end at 10 min, which no laptop has patience for. */
const BACKOFF_BASE_MS = 1_000
const BACKOFF_MAX_MS = 30_000

export interface JobPlan {
  status: JobStatus
  /** How many Pods to make. */
  create: number
  /** Pods that run although the Job has ended. */
  remove: Pod[]
  /** When to look again though nothing changes. */
  againMs?: number
}

type Ending = Pick<JobCondition, 'reason' | 'message'>

export function isJobFinished({ status }: Job): boolean {
  return has(status?.conditions, 'Complete') || has(status?.conditions, 'Failed')
}

/**
 * Pods of a Job stay until it goes, so they are its count; one that was deleted by hand is still in the count of before.
 * @param pods those that the Job controls
 */
export function planJob(job: Job, pods: readonly Pod[], now: Date): JobPlan {
  const before = job.status ?? {}
  const active = pods.filter(isPodActive)
  const terminating = pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !hasEnded(pod)).length
  const succeeded = Math.max(before.succeeded ?? 0, pods.filter((pod) => pod.status?.phase === 'Succeeded').length)
  const failed = Math.max(before.failed ?? 0, pods.filter((pod) => countsAsFailure(pod, job)).length)
  const startTime = before.startTime ?? kubeTime(now)
  const failure = failureOf(job, pods, failed, Date.parse(startTime), now)
  if (failure) {
    // What still runs will never succeed any more.
    const lost = active.length + terminating
    const ended = endedConditions(
      before.conditions,
      lost === 0 ? ['FailureTarget', 'Failed'] : ['FailureTarget'],
      failure,
      now,
    )
    const counts = { active: 0, ready: 0, terminating: lost, succeeded, failed: failed + active.length }
    return { status: { startTime, ...counts, conditions: ended }, create: 0, remove: active }
  }
  const completions = job.spec.completions ?? 1
  if (succeeded >= completions && active.length === 0) {
    const success = { reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
    const ended = endedConditions(before.conditions, ['SuccessCriteriaMet', 'Complete'], success, now)
    const counts = { active: 0, ready: 0, terminating, succeeded, failed }
    return {
      status: { startTime, completionTime: kubeTime(now), ...counts, conditions: ended },
      create: 0,
      remove: [],
    }
  }
  const waitMs = backoffMs(pods, now)
  const places = Math.min(completions - succeeded, job.spec.parallelism ?? 1)
  const replaced = job.spec.podReplacementPolicy === 'Failed' ? terminating : 0
  const create = waitMs > 0 ? 0 : Math.max(0, places - active.length - replaced)
  const counts = {
    active: active.length + create,
    ready: active.filter(isPodReady).length,
    terminating,
    succeeded,
    failed,
  }
  const deadlineMs = job.spec.activeDeadlineSeconds
    ? Date.parse(startTime) + job.spec.activeDeadlineSeconds * 1000 - now.getTime()
    : undefined
  const waits = [waitMs, deadlineMs ?? 0].filter((ms) => ms > 0)
  return {
    status: { startTime, ...counts },
    create,
    remove: [],
    ...(waits.length > 0 && { againMs: Math.min(...waits) }),
  }
}

function countsAsFailure(pod: Pod, job: Job): boolean {
  const failed =
    pod.status?.phase === 'Failed' ||
    (job.spec.podReplacementPolicy !== 'Failed' && pod.metadata.deletionTimestamp !== undefined && !hasEnded(pod))
  return failed && failureAction(job, pod)?.action !== 'Ignore'
}

/** Why the Job has failed. A reason once told stays, whatever comes to light while the last Pods end. */
function failureOf(job: Job, pods: readonly Pod[], failed: number, since: number, now: Date): Ending | undefined {
  const told = job.status?.conditions?.find(({ type }) => type === 'FailureTarget')
  if (told) return told
  for (const pod of pods) {
    const matched = pod.status?.phase === 'Failed' ? failureAction(job, pod) : undefined
    if (matched?.action === 'FailJob') return { reason: 'PodFailurePolicy', message: matched.message }
  }
  if (failed > (job.spec.backoffLimit ?? 6)) {
    return { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' }
  }
  const { activeDeadlineSeconds } = job.spec
  if (activeDeadlineSeconds !== undefined && now.getTime() - since >= activeDeadlineSeconds * 1000) {
    return { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' }
  }
  return undefined
}

/** How long the next Pod has to wait after the failures since the last success. */
function backoffMs(pods: readonly Pod[], now: Date): number {
  const failures = pods.filter((pod) => pod.status?.phase === 'Failed').map(finishedAt)
  if (failures.length === 0) return 0
  const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (failures.length - 1))
  return Math.max(0, Math.max(...failures) + delayMs - now.getTime())
}

function finishedAt(pod: Pod): number {
  const at = pod.status?.containerStatuses?.[0]?.state?.terminated?.finishedAt
  return at === undefined ? 0 : Date.parse(at)
}

function endedConditions(
  before: readonly JobCondition[] = [],
  types: readonly string[],
  { reason, message }: Ending,
  now: Date,
): JobCondition[] {
  const at = kubeTime(now)
  const times = { lastProbeTime: at, lastTransitionTime: at }
  const missing = types.filter((type) => !has(before, type))
  return [...before, ...missing.map((type) => ({ type, status: 'True' as const, reason, message, ...times }))]
}

function has(conditions: readonly JobCondition[] | undefined, type: string): boolean {
  return (conditions ?? []).some((condition) => condition.type === type && condition.status === 'True')
}
