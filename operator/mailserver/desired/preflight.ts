/**
 * The preflight of an engine upgrade: a Job that runs the new image's `server/preflight.ts` with the engines'
 * environment, before any of them is touched. It reads and writes nothing; its exit code is the answer.
 */

import { canonicalHash } from '../../kube/apply-if-changed.ts'
import { Job } from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, objectOf } from './context.ts'
import { enginePod } from './deployment.ts'
import { engineConfig } from './engine-config.ts'
import { labelsOf, PREFLIGHT_COMPONENT, preflightName } from './names.ts'

/** Exit codes of server/preflight.ts that another try does not change; all others are tried again. */
export const PREFLIGHT_EXIT = { schemaNewer: 64, configNotUnderstood: 65 } as const

/** With the time that an image may take to be pulled. */
const DEADLINE_SECONDS = 600

/**
 * Named after all that its answer depends on, so that a changed wish is a new Job: a Job's template is immutable.
 * @param context with the image to be checked
 * @param wish another value asks the same question again
 */
export function preflightJob(context: DesiredContext, wish: string | undefined): KubeObject {
  const { server, spec } = context
  const labels = labelsOf(server.name, PREFLIGHT_COMPONENT)
  const content = {
    spec: {
      backoffLimit: 2,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      podFailurePolicy: {
        rules: [
          { action: 'FailJob', onExitCodes: { operator: 'In', values: Object.values(PREFLIGHT_EXIT).toSorted() } },
          // A node that is drained meanwhile is no answer.
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        ],
      },
      template: {
        metadata: { labels: { ...spec.pod.labels, ...labels }, annotations: { ...spec.pod.annotations } },
        spec: { ...enginePod(context, ['node', 'server/preflight.ts']), restartPolicy: 'Never' },
      },
    },
  }
  const hash = canonicalHash({ content, config: engineConfig(context), wish }).slice(0, 8)
  return objectOf(context, 'batch/v1', Job.kind, preflightName(server.name, hash), content, {
    component: PREFLIGHT_COMPONENT,
  })
}
