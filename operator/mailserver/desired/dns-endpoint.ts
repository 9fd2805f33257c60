/** The DNSEndpoint that asks external-dns to publish the records. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { type DnsRecord, dnsRecords } from '../../dns/records.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, type Facts, optionalObject } from './context.ts'

/** The records of a server, as status lists them and DNS should have them. */
export function recordsOf(
  spec: MailServerSpec,
  facts: Pick<Facts, 'addresses' | 'webAddresses' | 'dkimKeys'>,
): DnsRecord[] {
  return dnsRecords({
    hostname: spec.hostname,
    domains: spec.domains,
    addresses: facts.addresses,
    webAddresses: facts.webAddresses,
    dkim: facts.dkimKeys,
    spfMechanisms: spec.dns.spfMechanisms,
    relayHost: spec.outbound.relay?.host,
    mtaSts: spec.dns.mtaSts,
  })
}

/** None unless wished for and served. Reverse DNS belongs to whoever owns the addresses. */
export function dnsEndpoint(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  if (spec.dns.publish !== 'ExternalDNS') return undefined
  const sets = new Map<string, { dnsName: string; recordType: string; targets: string[]; recordTTL: number }>()
  for (const record of recordsOf(spec, facts)) {
    if (record.type === 'PTR') continue
    const id = `${record.type} ${record.name}`
    const set = sets.get(id) ?? {
      dnsName: record.name,
      recordType: record.type,
      targets: [],
      recordTTL: spec.dns.ttlSeconds,
    }
    set.targets.push(target(record))
    sets.set(id, set)
  }
  return optionalObject(context, 'DNSEndpoint', server.name, {
    spec: { endpoints: [...sets.values()] },
  })
}

/** external-dns source/crd.go: SRV targets end in a dot, all others must not. */
function target({ type, value }: DnsRecord): string {
  return type === 'SRV' || type === 'TXT' ? value : value.replace(/\.$/, '')
}
