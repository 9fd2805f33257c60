import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsRecord } from './records.ts'
import { type Lookups, verifyRecords } from './verify.ts'

const fail = (code: string) => async () => Promise.reject(Object.assign(new Error(code), { code }))
const nothing = fail('ENOTFOUND')
const lookups = (answers: Partial<Lookups>): Lookups =>
  ({
    resolve4: nothing,
    resolve6: nothing,
    resolveCname: nothing,
    resolveMx: nothing,
    resolveTxt: nothing,
    resolveSrv: nothing,
    resolvePtr: nothing,
    resolveCaa: nothing,
    resolveTlsa: nothing,
    ...answers,
  }) as Lookups
const record = (type: DnsRecord['type'], value: string, name = 'example.org'): DnsRecord => ({
  type,
  name,
  value,
  domain: 'example.org',
})

async function stateOf(one: DnsRecord, answers: Partial<Lookups>): Promise<[string, string | undefined]> {
  const [verified] = await verifyRecords([one], lookups(answers))
  return [verified?.state ?? '', verified?.found]
}

for (const [what, one, answers, want] of [
  [
    'an MX that is there',
    record('MX', '10 mail.example.org.'),
    { resolveMx: async () => [{ priority: 10, exchange: 'mail.example.org' }] },
    ['Published', undefined],
  ],
  [
    'an MX in other case',
    record('MX', '10 mail.example.org.'),
    { resolveMx: async () => [{ priority: 10, exchange: 'Mail.Example.Org' }] },
    ['Published', undefined],
  ],
  [
    'an MX that leads elsewhere',
    record('MX', '10 mail.example.org.'),
    { resolveMx: async () => [{ priority: 5, exchange: 'old.example.org' }] },
    ['Mismatch', '5 old.example.org.'],
  ],
  [
    'an MX with a backup behind it',
    record('MX', '10 mail.example.org.'),
    {
      resolveMx: async () => [
        { priority: 20, exchange: 'mail.example.org' },
        { priority: 30, exchange: 'backup.example.net' },
      ],
    },
    ['Published', undefined],
  ],
  [
    'an MX beside one that is asked as often',
    record('MX', '10 mail.example.org.'),
    {
      resolveMx: async () => [
        { priority: 10, exchange: 'mail.example.org' },
        { priority: 10, exchange: 'old.example.org' },
      ],
    },
    ['Mismatch', '10 mail.example.org. | 10 old.example.org.'],
  ],
  [
    'an MX behind another',
    record('MX', '10 mail.example.org.'),
    {
      resolveMx: async () => [
        { priority: 10, exchange: 'mail.example.org' },
        { priority: 5, exchange: 'old.example.org' },
      ],
    },
    ['Mismatch', '10 mail.example.org. | 5 old.example.org.'],
  ],
  [
    'a CAA',
    record('CAA', '0 issue "letsencrypt.org"'),
    {
      resolveCaa: async () => [
        { critical: 128, issue: 'letsencrypt.org' },
        { critical: 0, iodef: 'mailto:a@b' },
      ],
    },
    ['Published', undefined],
  ],
  [
    'a CAA beside an issuer that was not asked for',
    record('CAA', '0 issue "letsencrypt.org"'),
    {
      resolveCaa: async () => [
        { critical: 0, issue: 'letsencrypt.org' },
        { critical: 0, issue: 'other.example' },
      ],
    },
    ['Mismatch', '0 issue "letsencrypt.org" | 0 issue "other.example"'],
  ],
  [
    'a TLSA beside that of a key to come',
    record('TLSA', '3 1 1 abcd', '_25._tcp.mail.example.org'),
    {
      resolveTlsa: async () =>
        ['ffff', 'abcd'].map((hex) => ({
          certUsage: 3,
          selector: 1,
          match: 1,
          data: new Uint8Array(Buffer.from(hex, 'hex')).buffer,
        })),
    },
    ['Published', undefined],
  ],
  [
    'a DMARC record in quotes of its own, as a provider that reads none publishes them',
    record('TXT', 'v=DMARC1; p=reject', '_dmarc.example.org'),
    { resolveTxt: async () => [['"v=DMARC1; p=reject"'], ['v=other']] },
    ['Mismatch', '"v=DMARC1; p=reject"'],
  ],
  ['no MX', record('MX', '10 mail.example.org.'), {}, ['Missing', undefined]],
  [
    'a resolver that fails',
    record('MX', '10 mail.example.org.'),
    { resolveMx: fail('ESERVFAIL') },
    ['Unknown', 'lookup failed: ESERVFAIL'],
  ],
  [
    'a DKIM key in several strings',
    record('TXT', 'v=DKIM1; k=rsa; p=AAAABBBB', 'default._domainkey.example.org'),
    { resolveTxt: async () => [['v=DKIM1; k=rsa; ', 'p=AAAA', 'BBBB']] },
    ['Published', undefined],
  ],
  [
    'an older DKIM key',
    record('TXT', 'v=DKIM1; k=rsa; p=NEW', 'default._domainkey.example.org'),
    { resolveTxt: async () => [['v=DKIM1;k=rsa;p=OLD']] },
    ['Mismatch', 'v=DKIM1;k=rsa;p=OLD'],
  ],
  [
    'SPF beside a site verification',
    record('TXT', 'v=spf1 mx -all'),
    { resolveTxt: async () => [['google-site-verification=x'], ['v=spf1  mx -all']] },
    ['Published', undefined],
  ],
  [
    'another SPF',
    record('TXT', 'v=spf1 mx -all'),
    { resolveTxt: async () => [['v=spf1 a ~all']] },
    ['Mismatch', 'v=spf1 a ~all'],
  ],
  [
    'an SRV',
    record('SRV', '0 1 993 mail.example.org.'),
    { resolveSrv: async () => [{ priority: 0, weight: 1, port: 993, name: 'mail.example.org' }] },
    ['Published', undefined],
  ],
  [
    'an AAAA written otherwise',
    record('AAAA', '2001:db8::7'),
    { resolve6: async () => ['2001:db8:0:0:0:0:0:7'] },
    ['Published', undefined],
  ],
  [
    'an alias published as its addresses',
    record('CNAME', 'mail.example.org.', 'autoconfig.example.org'),
    { resolveCname: fail('ENODATA'), resolve4: async () => ['203.0.113.7'] },
    ['Published', undefined],
  ],
  [
    'a mail domain with the addresses of the load balancer’s name',
    record('ALIAS', 'lb.cloud.example.'),
    { resolve4: async (name: string) => (name === 'example.org' ? ['203.0.113.7'] : ['203.0.113.7', '203.0.113.8']) },
    ['Published', undefined],
  ],
  [
    'a mail domain with other addresses',
    record('ALIAS', 'lb.cloud.example.'),
    { resolve4: async (name: string) => (name === 'example.org' ? ['192.0.2.1'] : ['203.0.113.7']) },
    ['Mismatch', '192.0.2.1'],
  ],
  ['a mail domain without addresses', record('ALIAS', 'lb.cloud.example.'), {}, ['Missing', undefined]],
] as [string, DnsRecord, Partial<Lookups>, [string, string | undefined]][]) {
  test(`${what} is ${want[0]}`, async () => assert.deepEqual(await stateOf(one, answers), want))
}

test('a verification that is given up leaves the rest Unknown, in order', async () => {
  const records = Array.from({ length: 30 }, (_, index) => record('A', '192.0.2.1', `n${index}.example.org`))
  const verified = await verifyRecords(records, lookups({}), AbortSignal.abort())
  assert.deepEqual(
    verified.map(({ name }) => name),
    records.map(({ name }) => name),
  )
  assert.ok(verified.every(({ state }) => state === 'Unknown'))
})
