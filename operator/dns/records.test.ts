import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DnsWishes, dnsRecords, reverseName } from './records.ts'

const wishes: DnsWishes = {
  hostname: 'mail.example.org',
  domains: [{ name: 'example.org', dmarc: { policy: 'reject', rua: 'mailto:dmarc@example.org' } }],
  addresses: ['203.0.113.7', '2001:db8::7'],
  dkim: [
    { domain: 'example.org', selector: 'default', txt: 'v=DKIM1; k=rsa; p=AAAA' },
    { domain: 'example.net', selector: 'default', txt: 'v=DKIM1; k=rsa; p=BBBB' },
  ],
  spfMechanisms: [],
  mtaSts: 'enforce',
}
const lines = (more: Partial<DnsWishes> = {}) =>
  dnsRecords({ ...wishes, ...more }).map(({ type, name, value }) => `${name} ${type} ${value}`)

test('the whole set of a domain', () => {
  assert.deepEqual(lines(), [
    'mail.example.org A 203.0.113.7',
    'mail.example.org AAAA 2001:db8::7',
    '7.113.0.203.in-addr.arpa PTR mail.example.org.',
    '7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mail.example.org.',
    'example.org MX 10 mail.example.org.',
    'example.org TXT v=spf1 mx ip4:203.0.113.7 ip6:2001:db8::7 -all',
    'default._domainkey.example.org TXT v=DKIM1; k=rsa; p=AAAA',
    '_dmarc.example.org TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.org',
    '_smtp._tls.example.org TXT v=TLSRPTv1; rua=mailto:dmarc@example.org',
    '_submissions._tcp.example.org SRV 0 1 465 mail.example.org.',
    '_submission._tcp.example.org SRV 10 1 587 mail.example.org.',
    '_imaps._tcp.example.org SRV 0 1 993 mail.example.org.',
    '_jmap._tcp.example.org SRV 0 1 443 mail.example.org.',
    'autoconfig.example.org CNAME mail.example.org.',
    'autodiscover.example.org CNAME mail.example.org.',
    '_mta-sts.example.org TXT v=STSv1; id=d55da24967ab6d97',
    'mta-sts.example.org CNAME mail.example.org.',
  ])
})

test('without an address SPF is left to the MX', () => {
  assert.ok(lines({ addresses: [] }).includes('example.org TXT v=spf1 mx -all'))
})

test('a relay and further mechanisms are in SPF', () => {
  const more = { addresses: [], relayHost: 'smtp.relay.example', spfMechanisms: ['include:spf.example.net'] }
  assert.ok(lines(more).includes('example.org TXT v=spf1 mx a:smtp.relay.example include:spf.example.net -all'))
})

test('a load balancer with a name is an alias', () => {
  assert.ok(lines({ addresses: ['lb.cloud.example'] }).includes('mail.example.org CNAME lb.cloud.example.'))
})

test('names that are asked by HTTP lead to the Ingress, where there is one', () => {
  const found = lines({ webAddresses: ['198.51.100.4', '2001:db8::4'] }).filter((line) => /^(auto|mta-sts)/.test(line))
  const names = ['autoconfig.example.org', 'autodiscover.example.org', 'mta-sts.example.org']
  assert.deepEqual(
    found,
    names.flatMap((name) => [`${name} A 198.51.100.4`, `${name} AAAA 2001:db8::4`]),
  )
  assert.ok(lines({ webAddresses: ['lb.cloud.example'] }).includes('mta-sts.example.org CNAME lb.cloud.example.'))
})

test('without MTA-STS nothing announces it', () => {
  assert.equal(
    lines({ mtaSts: 'none' }).some((line) => line.includes('mta-sts')),
    false,
  )
})

test('the MTA-STS id changes with the policy (RFC 8461 §3.1)', () => {
  const id = (mtaSts: 'testing' | 'enforce') => lines({ mtaSts }).find((line) => line.includes('v=STSv1'))
  assert.notEqual(id('testing'), id('enforce'))
})

test('a host that is its own autoconfig gets no alias onto itself', () => {
  assert.equal(
    lines({ hostname: 'autoconfig.example.org' }).some((line) => line.startsWith('autoconfig.example.org CNAME')),
    false,
  )
})

for (const [address, want] of [
  ['192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['::1', `1.${'0.'.repeat(31)}ip6.arpa`],
] as const) {
  test(`the reverse name of ${address}`, () => assert.equal(reverseName(address), want))
}
