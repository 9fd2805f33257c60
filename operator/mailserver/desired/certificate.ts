/** The names a server's certificate must have, and the cert-manager Certificate that asks for them. */

import { SERVER_LABEL } from '../../api/group.ts'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, optionalObject } from './context.ts'
import { certificateName, httpServiceName, mailServiceName, tlsSecretName } from './names.ts'

/** Names in public DNS, which an issuer can verify. */
export function publicNames(spec: MailServerSpec): string[] {
  const hosts = spec.domains.flatMap(({ name }) => [
    ...(spec.dns.mtaSts === 'none' ? [] : [`mta-sts.${name}`]), // RFC 8461 §3.3
    `autoconfig.${name}`,
    `autodiscover.${name}`,
  ])
  return [...new Set([spec.hostname, ...hosts])]
}

/** Every name by which anybody reaches the server, port-forwards included: for certificates of our own CA. */
export function allNames(context: Pick<DesiredContext, 'server' | 'spec'>, addresses: readonly string[]): string[] {
  const { server, spec } = context
  const services = [mailServiceName(server.name), httpServiceName(server.name)].flatMap((service) => [
    service,
    `${service}.${server.namespace}.svc`,
    `${service}.${server.namespace}.svc.cluster.local`,
  ])
  return [...new Set([...publicNames(spec), ...services, 'localhost', '127.0.0.1', '::1', ...addresses])]
}

/** None without an issuer, and while cert-manager is not installed. */
export function certificate(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  const { issuerRef } = spec.tls
  if (!issuerRef) return undefined
  return optionalObject(context, 'Certificate', certificateName(server.name), {
    spec: {
      secretName: tlsSecretName(server.name),
      dnsNames: publicNames(spec),
      issuerRef: { name: issuerRef.name, kind: issuerRef.kind, group: issuerRef.group },
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      usages: ['digital signature', 'server auth'],
      revisionHistoryLimit: 2,
      secretTemplate: { labels: { [SERVER_LABEL]: server.name } },
    },
  })
}
