/** What stands around the engine's Pods: their account, their disruption budget, their network policy. */

import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, objectOf } from './context.ts'
import { enginePorts } from './engine-ports.ts'
import { ENGINE_COMPONENT, PREFLIGHT_COMPONENT, selectorLabels } from './names.ts'

/** An identity without any right and without a token in the Pods. */
export const serviceAccount = (context: DesiredContext): KubeObject =>
  objectOf(context, 'v1', 'ServiceAccount', context.server.name, { automountServiceAccountToken: false })

/** With one replica a budget would only block node drains, so there is none. */
export function podDisruptionBudget(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  if (spec.replicas < 2) return undefined
  return objectOf(context, 'policy/v1', 'PodDisruptionBudget', server.name, {
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: selectorLabels(server.name) },
      // A Pod that is not ready protects nothing; let a drain take it.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  })
}

/** In: the mail ports and HTTP, from anywhere. Out: all but the node's metadata service, which hands out credentials. */
export function networkPolicy(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  if (!spec.networkPolicy.enabled) return undefined
  return objectOf(context, 'networking.k8s.io/v1', 'NetworkPolicy', server.name, {
    spec: {
      podSelector: {
        matchLabels: { 'app.kubernetes.io/instance': server.name },
        // A preflight must get out where nobody else may.
        matchExpressions: [
          { key: 'app.kubernetes.io/name', operator: 'In', values: [ENGINE_COMPONENT, PREFLIGHT_COMPONENT] },
        ],
      },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: Object.values(enginePorts(spec)).map((port) => ({ protocol: 'TCP', port })) }],
      egress: [
        {
          to: [
            { ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.169.254/32'] } },
            { ipBlock: { cidr: '::/0', except: ['fd00:ec2::254/128'] } },
            // Where a network plugin does not count Pods among IP blocks (Cilium).
            { namespaceSelector: {} },
          ],
        },
      ],
    },
  })
}
