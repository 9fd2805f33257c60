/** Verification by the real resolver, from a DNS server on loopback. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDnsServer } from '../../test/e2e/dns-server.ts'
import { type DnsRecord, dnsRecords } from './records.ts'
import { createResolver, verifyRecords } from './verify.ts'

const records = dnsRecords({
  hostname: 'mail.example.org',
  domains: [{ name: 'example.org', dmarc: { policy: 'reject' } }],
  addresses: ['203.0.113.7', '2001:db8::7'],
  webAddresses: ['198.51.100.4'],
  dkim: [{ domain: 'example.org', selector: 'default', txt: `v=DKIM1; k=rsa; p=${'A'.repeat(392)}` }],
  spfMechanisms: [],
  mtaSts: 'enforce',
  caa: { issuers: ['letsencrypt.org', 'ca.example; accounturi=https://ca.example/1'], iodef: 'mailto:caa@example.org' },
  tlsa: [`3 1 1 ${'ab'.repeat(32)}`, `3 1 1 ${'cd'.repeat(32)}`],
})
const statesOf = async (published: readonly DnsRecord[]) => {
  await using server = await startDnsServer(() =>
    published.flatMap(({ type, ...rest }) => (type === 'ALIAS' ? [] : [{ type, ...rest }])),
  )
  const resolver = createResolver([server.address])
  return await verifyRecords(records, resolver)
}

test('a zone with everything is published as a whole', async () => {
  const types = new Set(records.map(({ type }) => type))
  for (const type of ['A', 'AAAA', 'PTR', 'MX', 'TXT', 'SRV', 'CAA', 'TLSA'] as const) assert.ok(types.has(type), type)
  assert.deepEqual(
    (await statesOf(records)).filter(({ state }) => state !== 'Published'),
    [],
  )
})

test('an empty zone lacks everything', async () => {
  const verified = await statesOf([])
  assert.ok(verified.every(({ state }) => state === 'Missing'))
})

test('what differs is told: a reverse name, an issuer, a key', async () => {
  const changed = records.map((record): DnsRecord => {
    if (record.type === 'PTR') return { ...record, value: 'host7.provider.example.' }
    if (record.type === 'CAA') return { ...record, value: '0 issue "other.example"' }
    return record.type === 'TLSA' ? { ...record, value: `3 1 1 ${'00'.repeat(32)}` } : record
  })
  const differing = (await statesOf(changed)).filter(({ state }) => state === 'Mismatch')
  assert.deepEqual([...new Set(differing.map(({ type }) => type))].sort(), ['CAA', 'PTR', 'TLSA'])
  assert.equal(differing.find(({ type }) => type === 'PTR')?.found, 'host7.provider.example.')
  assert.match(differing.find(({ type }) => type === 'TLSA')?.found ?? '', /^3 1 1 0{64}/)
})
