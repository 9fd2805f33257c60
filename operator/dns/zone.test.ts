import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsRecord } from './records.ts'
import { zoneFile } from './zone.ts'

const record = (type: DnsRecord['type'], name: string, value: string, domain = 'example.org'): DnsRecord => ({
  type,
  name,
  value,
  domain,
})

test('records stand by domain, absolute, reverse DNS and what is of no RFC as comments', () => {
  const records = [
    record('A', 'mail.example.org', '203.0.113.7', 'mail.example.org'),
    record('PTR', '7.113.0.203.in-addr.arpa', 'mail.example.org.', 'mail.example.org'),
    record('MX', 'example.org', '10 mail.example.org.'),
    record('ALIAS', 'example.org', 'lb.cloud.example.'),
    record('TXT', 'example.org', 'v=spf1 mx -all'),
  ]
  assert.equal(
    zoneFile(records, 3600),
    `$TTL 3600

; mail.example.org
mail.example.org. IN A 203.0.113.7
; 7.113.0.203.in-addr.arpa. IN PTR mail.example.org.

; example.org
example.org. IN MX 10 mail.example.org.
; example.org. IN ALIAS lb.cloud.example.
example.org. IN TXT "v=spf1 mx -all"
`,
  )
})

test('a long key is cut into strings of 255 bytes, quotes are escaped', () => {
  const text = zoneFile([record('TXT', 'k.example.org', `${'a'.repeat(300)}"`)], 60)
  assert.ok(text.includes(`TXT "${'a'.repeat(255)}" "${'a'.repeat(45)}\\""`), text)
})
