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

test('a mail domain is no alias: its own addresses follow the load balancer’s name (RFC 1034 §3.6.2)', () => {
  const more = { hostname: 'example.org', addresses: ['lb.cloud.example'] }
  const found = lines(more)
  assert.deepEqual(
    found.filter((line) => /^example\.org (ALIAS|CNAME|MX|A)/.test(line)),
    ['example.org ALIAS lb.cloud.example.', 'example.org MX 10 example.org.'],
  )
  const domains = ['example.org', 'autoconfig.example.org'].map((name) => ({ name, dmarc: { policy: 'none' } }))
  assert.ok(lines({ domains }).includes('autoconfig.example.org ALIAS mail.example.org.'))
})

test('a name has addresses or one alias, never both', () => {
  const of = (addresses: string[]) => lines({ addresses }).filter((line) => / (A|AAAA|CNAME) /.test(line))
  const host = (addresses: string[]) => of(addresses).filter((line) => line.startsWith('mail.example.org'))
  assert.deepEqual(host(['203.0.113.7', 'lb.cloud.example']), ['mail.example.org A 203.0.113.7'])
  assert.deepEqual(host(['lb1.cloud.example', 'lb2.cloud.example']), ['mail.example.org CNAME lb1.cloud.example.'])
})

test('a load balancer with a name is an alias', () => {
  assert.ok(lines({ addresses: ['lb.cloud.example'] }).includes('mail.example.org CNAME lb.cloud.example.'))
})

test('an alias stands alone: addresses come before it, and of several one is taken', () => {
  const of = (...addresses: string[]) => lines({ addresses, webAddresses: addresses, domains: wishes.domains })
  const at = (name: string, found: string[]) =>
    found.filter((line) => /^\S+ (A|AAAA|CNAME) /.test(line) && line.startsWith(name))
  for (const name of ['mail.example.org', 'mta-sts.example.org']) {
    assert.deepEqual(at(name, of('203.0.113.7', 'lb.cloud.example')), [`${name} A 203.0.113.7`])
    assert.deepEqual(at(name, of('a.cloud.example', 'b.cloud.example')), [`${name} CNAME a.cloud.example.`])
  }
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

test('CAA stands at the names of the certificate that are no aliases, never at the domain itself', () => {
  const caa = { issuers: ['letsencrypt.org', 'ca.example'], iodef: 'mailto:caa@example.org' }
  const of = (more: Partial<DnsWishes>) => lines({ caa, ...more }).filter((line) => line.includes(' CAA '))
  const at = (name: string) =>
    ['issue "letsencrypt.org"', 'issue "ca.example"', 'iodef "mailto:caa@example.org"'].map((p) => `${name} CAA 0 ${p}`)
  assert.deepEqual(of({}), at('mail.example.org'))
  assert.deepEqual(
    of({ webAddresses: ['198.51.100.4'] }),
    ['mail.example.org', 'autoconfig.example.org', 'autodiscover.example.org', 'mta-sts.example.org'].flatMap(at),
  )
  assert.deepEqual(of({ addresses: ['lb.cloud.example'] }), [])
  assert.deepEqual(
    lines().filter((line) => line.includes(' CAA ')),
    [],
  )
})

test('TLSA stands at port 25 of the host (RFC 7672 §2.2.3)', () => {
  assert.ok(lines({ tlsa: ['3 1 1 abcd'] }).includes('_25._tcp.mail.example.org TLSA 3 1 1 abcd'))
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
