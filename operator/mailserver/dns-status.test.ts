import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsRecordStatus } from '../api/mail-server-status.ts'
import { mailServerStatus } from '../api/mail-server-status.ts'
import { generateDkimKey } from '../dkim/keys.ts'
import type { DkimKey } from './desired/context.ts'
import { recordsOf } from './desired/dns-endpoint.ts'
import { dkimSecretName } from './desired/names.ts'
import { dnsStatus } from './dns-status.ts'
import type { Observed } from './observe.ts'
import { statusOf } from './status.ts'
import { contextOf } from './testing/context.ts'

/** etcd's own limit is 1.5 MiB for a request; spec, metadata and managed fields want room too. */
const WELL_UNDER = 1_200_000
const rsa = (await generateDkimKey('rsa2048')).txt
const ed25519 = (await generateDkimKey('ed25519')).txt

/** A server in the midst of a rotation, its domains' web names behind an Ingress with two addresses. */
function largeServer(domains: number) {
  const names = Array.from({ length: domains }, (_, index) => `customer-${index}.a-rather-long-name.example.org`)
  const key = (domain: string, selector: string, state: DkimKey['state']): DkimKey => ({
    domain,
    selector,
    algorithm: selector.includes('ed25519') ? 'ed25519' : 'rsa2048',
    state,
    since: '2026-06-01T00:00:00Z',
    secretName: dkimSecretName('stalwart', domain, selector),
    privatePem: '',
    txt: selector.includes('ed25519') ? ed25519 : rsa,
  })
  const dkimKeys = names.flatMap((domain) => [
    key(domain, 'default', 'Active'),
    key(domain, '20260601', 'Publishing'),
    key(domain, 'ed25519', 'Active'),
    key(domain, '20260601-ed25519', 'Publishing'),
  ])
  const { spec, facts } = contextOf(
    {
      domains: names.map((name) => ({ name, dmarc: { rua: 'mailto:dmarc@example.org' } })),
      dns: { caa: { issuers: ['letsencrypt.org', 'pki.example'], iodef: 'mailto:caa@example.org' } },
    },
    {
      addresses: ['203.0.113.7', '2001:db8::7'],
      webAddresses: ['198.51.100.4', '2001:db8::4'],
      dkimKeys,
    },
  )
  return { spec, dkimKeys, records: recordsOf(spec, facts) }
}

function statusWith(
  server: ReturnType<typeof largeServer>,
  records: readonly DnsRecordStatus[],
  { addresses }: Pick<Observed, 'addresses'> = { addresses: ['203.0.113.7'] },
) {
  const observed: Observed = {
    key: { namespace: 'n', name: 'stalwart' },
    children: new Map(),
    served: {},
    held: {},
    secrets: {},
    addresses,
    webAddresses: addresses,
    certificates: [{ number: 1, names: ['mail.example.org'] }],
  }
  return statusOf({
    server: { apiVersion: '', kind: '', metadata: { name: 'stalwart' }, spec: server.spec },
    generation: 1,
    spec: server.spec,
    observed,
    material: { certificate: undefined, dkimKeys: server.dkimKeys },
    records,
    image: 'i',
    conditions: [],
    now: new Date('2026-06-01T00:00:00Z'),
    rotationRequest: undefined,
    hasAccount: true,
  })
}

for (const [what, state, found] of [
  ['of which all are published', 'Published', undefined],
  ['of which none is, with as much found as a look-up tells', 'Mismatch', 'x'.repeat(1024)],
] as const) {
  test(`the status of 200 domains in rotation, ${what}, fits into etcd`, () => {
    const server = largeServer(200)
    const records = server.records.map((record) => ({ ...record, state, ...(found ? { found } : {}) }))
    const status = statusWith(server, records)
    assert.ok(Buffer.byteLength(JSON.stringify(status)) < WELL_UNDER, `${JSON.stringify(status).length} bytes`)
    assert.ok(mailServerStatus.safeParse(status).success, 'the schema has room for it')
    const { dns } = status
    assert.equal(dns?.zone, undefined)
    assert.equal((dns?.records?.length ?? 0) + (dns?.omitted ?? 0), records.length)
    const keys = (all: readonly DnsRecordStatus[] = []) => all.filter(({ name }) => name.includes('._domainkey.'))
    assert.equal(keys(dns?.records).length, keys(records).length, 'a rotation goes by what is found of its keys')
    assert.ok(dns?.summary?.endsWith(`/${records.length}`))
  })
}

test('more keys and addresses than the status has room for are cut, retiring keys first, and counted', () => {
  const server = largeServer(200)
  const retired = server.dkimKeys.map((key) => ({
    ...key,
    selector: `old-${key.selector}`,
    state: 'Retiring' as const,
  }))
  const records = server.records.map((record) => ({ ...record, state: 'Unknown' as const }))
  const status = statusWith({ ...server, dkimKeys: [...retired, ...server.dkimKeys] }, records, {
    addresses: Array.from({ length: 300 }, (_, index) => `203.0.${index >> 8}.${index & 255}`),
  })
  assert.ok(mailServerStatus.safeParse(status).success)
  assert.ok(Buffer.byteLength(JSON.stringify(status)) < WELL_UNDER, `${JSON.stringify(status).length} bytes`)
  assert.equal(status.addresses?.length, 256)
  const { keys = [], omitted } = status.dkim ?? {}
  assert.deepEqual([keys.length, omitted], [1000, 600])
  assert.equal(keys.filter(({ state }) => state !== 'Retiring').length, 800)
})

test('what is missing is listed before what is published', () => {
  const server = largeServer(200)
  const records = server.records.map((record, index) => ({
    ...record,
    state: index === server.records.length - 1 ? ('Missing' as const) : ('Published' as const),
  }))
  const dns = dnsStatus(records, 3600)
  assert.ok((dns?.omitted ?? 0) > 0)
  assert.equal(dns?.records?.at(-1)?.state, 'Missing')
})

test('a few domains have all of their records and a zone file', () => {
  const server = largeServer(10)
  const records = server.records.map((record) => ({ ...record, state: 'Unknown' as const }))
  const dns = dnsStatus(records, 300)
  assert.deepEqual(dns?.records, records)
  assert.equal(dns?.omitted, undefined)
  const lines = (dns?.zone ?? '').split('\n').filter((line) => / IN /.test(line))
  assert.equal(lines.length, records.length)
  assert.match(dns?.zone ?? '', /^\$TTL 300\n/)
  for (const [string = ''] of (dns?.zone ?? '').matchAll(/"[^"]*"/g)) assert.ok(string.length <= 255 + 2)
})
