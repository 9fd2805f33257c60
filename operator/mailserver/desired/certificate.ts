/** The names a server's certificates must have, and the cert-manager Certificates that ask for them. */

import { SERVER_LABEL } from '../../api/group.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type CertificateGroup, publicNames } from './certificate-groups.ts'
import { type DesiredContext, optionalObject } from './context.ts'
import { certificateName, httpServiceName, mailServiceName, tlsSecretName } from './names.ts'

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
export function certificates(context: DesiredContext): KubeObject[] {
  return context.facts.certificates.flatMap((group) => certificate(context, group) ?? [])
}

function certificate(context: DesiredContext, { number, names }: CertificateGroup): KubeObject | undefined {
  const { server, spec } = context
  const { issuerRef } = spec.tls
  if (!issuerRef) return undefined
  // A TLSA record is of the key of port 25: with a new one, mail would wait until DNS has followed (RFC 7671 §8.1).
  const keepsKey = spec.dns.tlsa.enabled && number === 1
  return optionalObject(context, 'Certificate', certificateName(server.name, number), {
    spec: {
      secretName: tlsSecretName(server.name, number),
      dnsNames: names,
      issuerRef: { name: issuerRef.name, kind: issuerRef.kind, group: issuerRef.group },
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: keepsKey ? 'Never' : 'Always' },
      usages: ['digital signature', 'server auth'],
      revisionHistoryLimit: 2,
      secretTemplate: { labels: { [SERVER_LABEL]: server.name } },
    },
  })
}
