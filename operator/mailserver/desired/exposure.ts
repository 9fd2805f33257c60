/** Ways in besides the Services: Ingress, HTTPRoute, TCPRoutes. */

import { Ingress } from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { publicNames } from './certificate-groups.ts'
import { type DesiredContext, objectOf, optionalObject } from './context.ts'
import { ENGINE_PORTS } from './engine-ports.ts'
import { httpServiceName, mailServiceName, tlsSecretName } from './names.ts'

/** What the world may ask: metrics, health and the admin API share the port, and stay inside. */
const PUBLIC_PATHS = [
  '/jmap',
  '/.well-known/jmap',
  '/.well-known/mta-sts.txt',
  '/.well-known/autoconfig',
  '/mail/config-v1.1.xml',
  '/autodiscover',
  '/Autodiscover',
] as const

/** Every HTTP name with the server's certificate for it; the path to the engine is plain, inside the cluster. */
export function ingress(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  if (!spec.ingress) return undefined
  const hosts = publicNames(spec)
  const backend = { service: { name: httpServiceName(server.name), port: { name: 'http' } } }
  return objectOf(
    context,
    'networking.k8s.io/v1',
    Ingress.kind,
    httpServiceName(server.name),
    {
      spec: {
        ...(spec.ingress.className ? { ingressClassName: spec.ingress.className } : {}),
        tls: facts.certificates.map(({ number, names }) => ({
          hosts: names,
          secretName: spec.tls.secretName ?? tlsSecretName(server.name, number),
        })),
        rules: hosts.map((host) => ({
          host,
          http: { paths: PUBLIC_PATHS.map((path) => ({ path, pathType: 'Prefix', backend })) },
        })),
      },
    },
    { annotations: spec.ingress.annotations ?? {} },
  )
}

/** The Gateway API's limit. */
const HOSTNAMES_PER_ROUTE = 16

/** One, or as many as it takes for all names. */
export function httpRoutes(context: DesiredContext): KubeObject[] {
  const { server, spec } = context
  const { gateway } = spec
  if (!gateway) return []
  const service = httpServiceName(server.name)
  const hostnames = publicNames(spec)
  const starts = hostnames.map((_, index) => index).filter((index) => index % HOSTNAMES_PER_ROUTE === 0)
  return starts.flatMap((start, index) => {
    const route = optionalObject(context, 'HTTPRoute', index === 0 ? service : `${service}-${index + 1}`, {
      spec: {
        parentRefs: [parentRef(context, gateway.httpSection)],
        hostnames: hostnames.slice(start, start + HOSTNAMES_PER_ROUTE),
        rules: [
          {
            matches: PUBLIC_PATHS.map((value) => ({ path: { type: 'PathPrefix', value } })),
            backendRefs: [{ name: service, port: ENGINE_PORTS.jmap }],
          },
        ],
      },
    })
    return route ? [route] : []
  })
}

/** One per port: a TCPRoute has one rule, and so one backend port. */
export function tcpRoutes(context: DesiredContext): KubeObject[] {
  const { server, spec } = context
  if (!spec.gateway?.mail) return []
  const { jmap: _, ...mail } = ENGINE_PORTS
  return Object.entries(mail).flatMap(([section, port]) => {
    const route = optionalObject(context, 'TCPRoute', `${server.name}-${section}`, {
      spec: {
        parentRefs: [parentRef(context, section)],
        rules: [{ backendRefs: [{ name: mailServiceName(server.name), port }] }],
      },
    })
    return route ? [route] : []
  })
}

function parentRef({ spec }: DesiredContext, sectionName: string | undefined): Record<string, string> {
  const { name = '', namespace } = spec.gateway ?? {}
  return { name, ...(namespace ? { namespace } : {}), ...(sectionName ? { sectionName } : {}) }
}
