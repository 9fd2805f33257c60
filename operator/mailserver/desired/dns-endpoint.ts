/** The DNSEndpoint that asks external-dns to publish the records. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { type DnsRecord, dnsRecords, type RecordType } from '../../dns/records.ts'
import { quoted } from '../../dns/zone.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, type Facts, optionalObject } from './context.ts'

/** The records of a server, as status lists them and DNS should have them. */
export function recordsOf(
  spec: MailServerSpec,
  facts: Pick<Facts, 'addresses' | 'webAddresses' | 'dkimKeys' | 'tlsa'>,
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
    caa: spec.dns.caa,
    tlsa: facts.tlsa,
  })
}

/**
 * What external-dns is asked for. It leaves out types that it is not told to manage, and others are published all the
 * same. Left for people: reverse DNS, which belongs to whoever owns the addresses, and an ALIAS, which only some of its
 * providers make.
 */
export const EXTERNAL_DNS_TYPES: readonly RecordType[] = ['A', 'AAAA', 'CNAME', 'MX', 'TXT', 'SRV', 'CAA', 'TLSA']

/** None unless wished for and served. */
export function dnsEndpoint(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  if (spec.dns.publish !== 'ExternalDNS') return undefined
  const sets = new Map<string, { dnsName: string; recordType: string; targets: string[]; recordTTL: number }>()
  for (const record of recordsOf(spec, facts)) {
    if (!EXTERNAL_DNS_TYPES.includes(record.type)) continue
    const id = `${record.type} ${record.name}`
    const set = sets.get(id) ?? {
      dnsName: record.name,
      recordType: record.type,
      targets: [],
      recordTTL: spec.dns.ttlSeconds,
    }
    set.targets.push(target(record, spec.dns.externalDNS.texts))
    sets.set(id, set)
  }
  return optionalObject(context, 'DNSEndpoint', server.name, {
    spec: { endpoints: [...sets.values()] },
  })
}

/**
 * external-dns source/crd.go: SRV targets end in a dot, all others must not. Of a text it knows no form: it hands the
 * target to its provider, most of which read it as a zone file, where ";" begins a comment and a space another string.
 * It writes its own texts, of ownership, in quotes too (endpoint/labels.go).
 */
function target({ type, value }: DnsRecord, texts: MailServerSpec['dns']['externalDNS']['texts']): string {
  if (type === 'TXT') return texts === 'Quoted' ? quoted(value) : value
  return type === 'SRV' ? value : value.replace(/\.$/, '')
}
