/**
 * status.dns: the records with what was found, and a zone file to paste, within what an object may weigh. etcd refuses
 * objects of 1.5 MB, and a server of 200 domains has thousands of records. Pure.
 */

import type { DnsRecordStatus, MailServerStatus } from '../api/mail-server-status.ts'
import type { DnsRecord } from '../dns/records.ts'
import { zoneFile } from '../dns/zone.ts'
import { dnsSummary } from './dependencies/dns.ts'

/** Bytes of JSON, together with what was found. */
const RECORDS_BYTES = 800_000
/** Of all that was found; what is beyond is left out. */
const FOUND_BYTES = 131_072
/** A zone file above this is not kept: `kubectl mail dns --zone` makes it. */
const ZONE_BYTES = 65_536

export function dnsStatus(records: readonly DnsRecordStatus[], ttlSeconds: number): MailServerStatus['dns'] {
  const listed = fitting(records)
  const zone = zoneFile(records as readonly DnsRecord[], ttlSeconds)
  const omitted = records.length - listed.length
  return {
    summary: dnsSummary(records),
    records: listed,
    ...(omitted > 0 ? { omitted } : {}),
    ...(Buffer.byteLength(zone) <= ZONE_BYTES ? { zone } : {}),
  }
}

/** In the same order. What has to be done is kept before what is done; keys stay, because a rotation goes by them. */
function fitting(records: readonly DnsRecordStatus[]): DnsRecordStatus[] {
  let foundBytes = 0
  const short = records.map((record): DnsRecordStatus => {
    if (record.found === undefined) return record
    foundBytes += Buffer.byteLength(record.found)
    if (foundBytes <= FOUND_BYTES) return record
    const { found: _, ...rest } = record
    return rest
  })
  const weight = (record: DnsRecordStatus) => Buffer.byteLength(JSON.stringify(record)) + 1
  let excess = short.reduce((sum, record) => sum + weight(record), 0) - RECORDS_BYTES
  const dropped = new Set<DnsRecordStatus>()
  const rank = (record: DnsRecordStatus) => {
    if (record.name.includes('._domainkey.')) return 2
    return record.state === 'Published' ? 0 : 1
  }
  for (const record of short.toReversed().toSorted((a, b) => rank(a) - rank(b))) {
    if (excess <= 0) break
    excess -= weight(record)
    dropped.add(record)
  }
  return short.filter((record) => !dropped.has(record))
}
