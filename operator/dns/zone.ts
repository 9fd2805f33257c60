/** Records as a zone file (RFC 1035 §5.1), for who publishes by hand. */

import type { DnsRecord } from './records.ts'

/** RFC 1035 §3.3.14: one string of a TXT record has at most 255 bytes. */
const STRING_BYTES = 255

/**
 * Absolute names, so that it can be pasted under any $ORIGIN. Reverse DNS is left as a comment: it is in the zone of
 * whoever owns the addresses.
 * @param records in the order in which they shall stand, grouped by domain
 */
export function zoneFile(records: readonly DnsRecord[], ttlSeconds: number): string {
  const lines: string[] = [`$TTL ${ttlSeconds}`]
  let domain = ''
  for (const record of records) {
    if (record.domain !== domain) {
      domain = record.domain
      lines.push('', `; ${domain}`)
    }
    const line = `${record.name}. IN ${record.type} ${record.type === 'TXT' ? quoted(record.value) : record.value}`
    lines.push(record.type === 'PTR' ? `; ${line}` : line)
  }
  return `${lines.join('\n')}\n`
}

/** ASCII text as the quoted strings of a TXT record. */
function quoted(text: string): string {
  const strings = text.match(new RegExp(`.{1,${STRING_BYTES}}`, 'g')) ?? ['']
  return strings.map((part) => `"${part.replaceAll(/["\\]/g, '\\$&')}"`).join(' ')
}
