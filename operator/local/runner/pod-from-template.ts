/** The Pod that a workload makes of its template. */
import { randomBytes } from 'node:crypto'
import type { KubeObject } from '../../kube/types.ts'
import { NODE_NAME, type Pod, type PodTemplate, PROCESS_FINALIZER } from './objects.ts'

/** @param owner the ReplicaSet or Job that controls it */
export function podFromTemplate({ apiVersion, kind, metadata }: KubeObject, template: PodTemplate): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${metadata.name.slice(0, 240)}-${randomBytes(3).toString('hex').slice(0, 5)}`,
      namespace: metadata.namespace ?? '',
      labels: template.metadata?.labels ?? {},
      annotations: template.metadata?.annotations ?? {},
      finalizers: [PROCESS_FINALIZER],
      ownerReferences: [
        { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true },
      ],
    },
    // There is one node, so there is nothing to schedule.
    spec: { ...template.spec, nodeName: NODE_NAME },
  }
}
