/** DNSReady: it never blocks Ready, because mail already flows for those who know the address. */

import { createHash } from 'node:crypto'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import type { DnsRecordStatus } from '../../api/mail-server-status.ts'
import { readCertificate } from '../../certificates/authority.ts'
import type { DnsRecord } from '../../dns/records.ts'
import type { VerifiedRecord } from '../../dns/verify.ts'
import { EXTERNAL_DNS_TYPES } from '../desired/dns-endpoint.ts'
import { idFor } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { ok, POLL_MS, type Statement } from './statement.ts'

/**
 * status.dns.records: what is wanted, with the state that was last found. A look that has not answered yet keeps what
 * was known of the same record.
 */
export function recordStates(
  records: readonly DnsRecord[],
  verified: readonly VerifiedRecord[] | undefined,
  previous: readonly DnsRecordStatus[] | undefined,
): DnsRecordStatus[] {
  const id = (record: DnsRecord | DnsRecordStatus) => `${record.type} ${record.name} ${record.value}`
  const known = new Map<string, { state: DnsRecordStatus['state']; found?: string | undefined }>(
    (verified ?? previous ?? []).map((record) => [id(record), record]),
  )
  return records.map(({ type, name, value, domain }) => {
    const { state, found } = known.get(id({ type, name, value, domain })) ?? { state: 'Unknown' as const }
    return { type, name, value, domain, state, ...(found === undefined ? {} : { found }) }
  })
}

/**
 * TLSA data to publish: of the key in use, and the one before while DNS does not show the new one yet, because Pods
 * take up a certificate one after the other and resolvers remember (RFC 7671 §8.1). While the certificate cannot be
 * seen nothing is withdrawn.
 */
export function tlsaWanted(
  spec: MailServerSpec,
  certificate: string | undefined,
  previous: readonly DnsRecordStatus[] = [],
): string[] {
  if (!spec.dns.tlsa.enabled) return []
  const known = previous.filter(({ type }) => type === 'TLSA')
  const values = known.map(({ value }) => value)
  const current = tlsaData(certificate)
  if (current === undefined) return values
  const isShown = known.some(({ value, state }) => value === current && state === 'Published')
  // Without verification nobody would tell when the old one may go.
  if (isShown || !spec.dns.verify) return [current]
  return [current, ...values.filter((value) => value !== current)].slice(0, 2)
}

/** Our own key, by its SHA-256 (RFC 6698 §2.1; the one form that RFC 7672 §3.1.1 asks for). */
function tlsaData(certificate: string | undefined): string | undefined {
  const key = readCertificate(certificate)?.publicKey
  return (
    key &&
    `3 1 1 ${createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest('hex')}`
  )
}

export function dnsSummary(records: readonly DnsRecordStatus[]): string {
  return `${records.filter(({ state }) => state === 'Published').length}/${records.length}`
}

export function dnsStatement(spec: MailServerSpec, observed: Observed, records: readonly DnsRecordStatus[]): Statement {
  const say = (status: Statement['status'], reason: string, message: string, pollMs?: number): Statement => ({
    type: 'DNSReady',
    status,
    reason,
    message,
    ...(pollMs === undefined ? {} : { pollMs }),
  })
  if (spec.dns.publish === 'ExternalDNS' && !observed.served.DNSEndpoint) {
    const message = 'external-dns is not installed: the API serves no dnsendpoints.externaldns.k8s.io'
    return say('False', 'CRDMissing', message, 6 * POLL_MS)
  }
  if (!spec.dns.verify)
    return say('Unknown', 'NotVerified', 'spec.dns.verify is off; status.dns.records lists the records')
  const of = (state: DnsRecordStatus['state']) => records.filter((record) => record.state === state)
  const wrong = [...of('Mismatch'), ...of('Missing')]
  const names = wrong.slice(0, 5).map(({ type, name, state }) => `${type} ${name} (${state.toLowerCase()})`)
  const more = wrong.length > names.length ? ` and ${wrong.length - names.length} more` : ''
  if (wrong.length > 0) {
    const reason = of('Mismatch').length > 0 ? 'RecordsDiffer' : 'RecordsMissing'
    return say('False', reason, `${names.join(', ')}${more}${byExternalDns(spec, observed, wrong)}`)
  }
  const unknown = of('Unknown')
  if (unknown.length > 0) {
    return say('Unknown', 'LookupFailed', `${unknown.length} of ${records.length} records could not be looked up`)
  }
  return ok('DNSReady', 'Published', `All ${records.length} records are published`)
}

/** Where to look for what external-dns has not published, and what waits for a person because it never does. */
function byExternalDns({ dns }: MailServerSpec, observed: Observed, wrong: readonly DnsRecordStatus[]): string {
  if (dns.publish !== 'ExternalDNS') return ''
  const isIts = ({ type }: DnsRecordStatus) => EXTERNAL_DNS_TYPES.some((one) => one === type)
  const others = new Set(wrong.filter((record) => !isIts(record)).map(({ type }) => type))
  return [
    ...(wrong.some(isIts) ? [reading(observed)] : []),
    ...(others.size > 0 ? [`; external-dns publishes no ${[...others].sort().join(', ')}: publish them by hand`] : []),
  ].join('')
}

/** The one thing that external-dns tells of a DNSEndpoint is which generation it has read (source/crd.go). */
function reading({ key, children }: Observed): string {
  const endpoint = children.get(idFor({ kind: 'DNSEndpoint' }, key.name))
  if (!endpoint) return ''
  const { observedGeneration = 0 } = (endpoint.status ?? {}) as { observedGeneration?: number }
  return observedGeneration < (endpoint.metadata.generation ?? 0)
    ? `; external-dns has not read DNSEndpoint ${key.name} yet: does it run with --source=crd, and for this namespace?`
    : `; external-dns has read DNSEndpoint ${key.name}: it leaves out types that it does not manage, and names at which others have records`
}
