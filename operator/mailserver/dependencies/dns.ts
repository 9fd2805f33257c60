/** DNSReady: it never blocks Ready, because mail already flows for those who know the address. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import type { DnsRecordStatus } from '../../api/mail-server-status.ts'
import type { DnsRecord } from '../../dns/records.ts'
import type { VerifiedRecord } from '../../dns/verify.ts'
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
    return say('False', of('Mismatch').length > 0 ? 'RecordsDiffer' : 'RecordsMissing', `${names.join(', ')}${more}`)
  }
  const unknown = of('Unknown')
  if (unknown.length > 0) {
    return say('Unknown', 'LookupFailed', `${unknown.length} of ${records.length} records could not be looked up`)
  }
  return ok('DNSReady', 'Published', `All ${records.length} records are published`)
}
