/** Records as a zone file (RFC 1035 §5.1), for who publishes by hand. */

import type { DnsRecord, RecordType } from './records.ts'

/** RFC 1035 §3.3.14: one string of a TXT record has at most 255 bytes. */
const STRING_BYTES = 255

/** Reverse DNS is in the zone of whoever owns the addresses, and an ALIAS is something that DNS services make. */
const COMMENTS: readonly RecordType[] = ['PTR', 'ALIAS']

/**
 * Absolute names, so that it can be pasted under any $ORIGIN.
 * @param records in the order in which they shall stand, grouped by domain
 * @param isComment says which of them are not to be published as they are, beyond those that a zone file never has
 */
export function zoneFile(
  records: readonly DnsRecord[],
  ttlSeconds: number,
  isComment: (record: DnsRecord) => boolean = () => false,
): string {
  const lines: string[] = [`$TTL ${ttlSeconds}`]
  let domain = ''
  for (const record of records) {
    if (record.domain !== domain) {
      domain = record.domain
      lines.push('', `; ${domain}`)
    }
    const line = `${record.name}. IN ${record.type} ${record.type === 'TXT' ? quoted(record.value) : record.value}`
    lines.push(COMMENTS.includes(record.type) || isComment(record) ? `; ${line}` : line)
  }
  return `${lines.join('\n')}\n`
}

/** ASCII text as the quoted strings of a TXT record (RFC 1035 §5.1). */
export function quoted(text: string): string {
  const strings = text.match(new RegExp(`.{1,${STRING_BYTES}}`, 'g')) ?? ['']
  return strings.map((part) => `"${part.replaceAll(/["\\]/g, '\\$&')}"`).join(' ')
}
