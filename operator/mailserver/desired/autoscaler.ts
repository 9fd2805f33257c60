/**
 * The HorizontalPodAutoscaler. It scales the MailServer, not the Deployment: so one writer, the operator, stays the only
 * one who sets the Deployment's replicas, and there is nothing to fight over.
 */

import { API_VERSION, MailServerResource } from '../../api/group.ts'
import { HorizontalPodAutoscaler } from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, objectOf } from './context.ts'

export function autoscaler(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  if (!spec.autoscaling) return undefined
  const { minReplicas, maxReplicas, targetCpuUtilization } = spec.autoscaling
  return objectOf(context, 'autoscaling/v2', HorizontalPodAutoscaler.kind, server.name, {
    spec: {
      scaleTargetRef: { apiVersion: API_VERSION, kind: MailServerResource.kind, name: server.name },
      minReplicas,
      maxReplicas,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: targetCpuUtilization } },
        },
      ],
      // IMAP sessions last for hours: a Pod that goes sends all of its clients elsewhere.
      behavior: {
        scaleDown: { stabilizationWindowSeconds: 600, policies: [{ type: 'Pods', value: 1, periodSeconds: 300 }] },
      },
    },
  })
}
