/** A Job's podFailurePolicy: what a failed Pod means. Pure; after pkg/controller/job/pod_failure_policy.go. */
import type { Job, Pod } from './objects.ts'

/**
 * The first rule that matches. Rules about Pod conditions never do: nothing here is evicted or preempted.
 * @returns undefined when none matches; the failure counts then, as it does with `Count`
 */
export function failureAction(job: Job, pod: Pod): { action: string; message: string } | undefined {
  for (const [index, { action, onExitCodes }] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    if (!onExitCodes) continue
    for (const { name, state } of pod.status?.containerStatuses ?? []) {
      const exitCode = state?.terminated?.exitCode
      if (!exitCode || (onExitCodes.containerName ?? name) !== name) continue
      if (onExitCodes.values.includes(exitCode) !== (onExitCodes.operator === 'In')) continue
      const where = `${pod.metadata.namespace}/${pod.metadata.name}`
      const message = `Container ${name} for pod ${where} failed with exit code ${exitCode} matching ${action} rule at index ${index}`
      return { action, message }
    }
  }
  return undefined
}
