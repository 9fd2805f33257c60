/** The Services of a MailServer: mail for the world, HTTP for the cluster, ingresses and the operator itself. */

import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, objectOf } from './context.ts'
import { ENGINE_PORTS } from './engine-ports.ts'
import { httpServiceName, mailServiceName, selectorLabels } from './names.ts'

export function mailService(context: DesiredContext): KubeObject {
  const { server, spec } = context
  const { service } = spec
  const external = service.type !== 'ClusterIP'
  const { smtp, smtps, submission, imaps } = ENGINE_PORTS
  const exposed = { smtp, smtps, submission, imaps, ...(service.https ? { https: 443 } : {}) }
  return objectOf(
    context,
    'v1',
    'Service',
    mailServiceName(server.name),
    {
      spec: {
        type: service.type,
        selector: selectorLabels(server.name),
        ports: Object.entries(exposed).map(([name, port]) => ({
          name,
          port,
          targetPort: name,
          protocol: 'TCP',
        })),
        ...(external ? { externalTrafficPolicy: service.externalTrafficPolicy } : {}),
        ...(service.loadBalancerClass ? { loadBalancerClass: service.loadBalancerClass } : {}),
        ...(service.type === 'LoadBalancer' && service.loadBalancerSourceRanges
          ? { loadBalancerSourceRanges: service.loadBalancerSourceRanges }
          : {}),
        ...(service.type === 'LoadBalancer' && service.allocateLoadBalancerNodePorts !== undefined
          ? { allocateLoadBalancerNodePorts: service.allocateLoadBalancerNodePorts }
          : {}),
        ...(service.ipFamilyPolicy ? { ipFamilyPolicy: service.ipFamilyPolicy } : {}),
      },
    },
    { annotations: service.annotations ?? {} },
  )
}

/** The engine tells HTTP from TLS by the first byte, so both ports lead to one. */
export function httpService(context: DesiredContext): KubeObject {
  const { server } = context
  const port = (name: string, number: number) => ({ name, port: number, targetPort: 'jmap', protocol: 'TCP' })
  return objectOf(context, 'v1', 'Service', httpServiceName(server.name), {
    spec: {
      type: 'ClusterIP',
      selector: selectorLabels(server.name),
      ports: [port('http', 8080), port('https', 443)],
    },
  })
}
