/**
 * Which names stand in which certificate. A public CA puts so many into one and no more (Let's Encrypt: 100), so a server of
 * many domains has several: the first for the host name and domains, the further ones for domains only. Pure.
 */

import { MAX_DOMAINS, type MailServerSpec } from '../../api/mail-server-spec.ts'
import type { KubeObject } from '../../kube/types.ts'
import { idFor } from '../kinds.ts'
import { certificateName } from './names.ts'

/** With three names each and the host name a hundred. */
const DOMAINS_PER_CERTIFICATE = 33
/** Numbers of the certificates that a server may have beside its first: Pods mount all of them, there or not. */
export const FURTHER_CERTIFICATES: readonly number[] = Array.from(
  { length: Math.ceil(MAX_DOMAINS / DOMAINS_PER_CERTIFICATE) - 1 },
  (_, index) => index + 2,
)

export interface CertificateGroup {
  /** From 1. */
  number: number
  /** DNS names, the host name first. */
  names: string[]
}

/** True when one certificate of an issuer cannot hold the names of all domains. */
export function needsFurtherCertificates({ tls, domains }: MailServerSpec): boolean {
  return tls.issuerRef !== undefined && domains.length > DOMAINS_PER_CERTIFICATE
}

/**
 * A domain stays in the certificate that it is in: one that comes or goes has no other certificate issued again but its
 * own.
 * @param live the server's objects by id, its Certificates among them
 * @returns the first, and the further ones that have names
 */
export function certificateGroups(
  server: string,
  spec: MailServerSpec,
  live: ReadonlyMap<string, KubeObject>,
): [CertificateGroup, ...CertificateGroup[]] {
  if (!needsFurtherCertificates(spec)) return [{ number: 1, names: publicNames(spec) }]
  const numbers = [1, ...FURTHER_CERTIFICATES]
  const members = new Map(numbers.map((number) => [number, new Set<string>()]))
  const roomIn = (number: number) => (members.get(number)?.size ?? 0) < DOMAINS_PER_CERTIFICATE
  const issued = new Map(
    numbers.map((number) => [
      number,
      dnsNames(live.get(idFor({ kind: 'Certificate' }, certificateName(server, number)))),
    ]),
  )
  const homeless = spec.domains.filter(({ name }) => {
    const home = numbers.find((number) => issued.get(number)?.has(`autoconfig.${name}`) && roomIn(number))
    if (home === undefined) return true
    members.get(home)?.add(name)
    return false
  })
  for (const { name } of homeless) members.get(numbers.find(roomIn) ?? 1)?.add(name)
  const groupOf = (number: number) => ({
    number,
    names: namesOf(spec, number === 1 ? [spec.hostname] : [], ({ name }) => members.get(number)?.has(name) ?? false),
  })
  return [groupOf(1), ...FURTHER_CERTIFICATES.map(groupOf).filter(({ names }) => names.length > 0)]
}

/** Names in public DNS, which an issuer can verify. */
export function publicNames(spec: MailServerSpec): string[] {
  return namesOf(spec, [spec.hostname], () => true)
}

function namesOf(
  { domains, dns }: MailServerSpec,
  first: string[],
  isIn: (domain: MailServerSpec['domains'][number]) => boolean,
): string[] {
  const hosts = domains.filter(isIn).flatMap(({ name }) => [
    ...(dns.mtaSts === 'none' ? [] : [`mta-sts.${name}`]), // RFC 8461 §3.3
    `autoconfig.${name}`,
    `autodiscover.${name}`,
  ])
  return [...new Set([...first, ...hosts])]
}

function dnsNames(certificate: KubeObject | undefined): Set<string> {
  return new Set((certificate?.spec as { dnsNames?: string[] } | undefined)?.dnsNames)
}
