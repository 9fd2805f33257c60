import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { after, before, test } from 'node:test'
import { createResolver, type DnsResolver } from '../senderauth/resolver.ts'
import { lookUpZones, reversedAddress } from './dnsbl.ts'

/** A records by name; others do not exist. Names under "silent." are never answered. */
const RECORDS: Record<string, string> = {
  '2.0.0.127.listed.example': '127.0.0.2',
  '2.0.0.127.blocked.example': '127.255.255.254',
  '2.0.0.127.parked.example': '203.0.113.1',
  '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.3.3.2.1.0.0.2.listed.example': '127.0.0.4',
}

const server = createSocket('udp4')
let resolver: DnsResolver

/** As little of RFC 1035 as a test needs: one question in, one A record or NXDOMAIN out. */
server.on('message', (query, peer) => {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const name = labels.join('.').toLowerCase()
  if (name.includes('silent.')) return
  const address = RECORDS[name]
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(address ? 0x8180 : 0x8183, 2)
  header.writeUInt16BE(address ? 1 : 0, 6)
  header.writeUInt32BE(0, 8)
  const answer = address
    ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)])
    : Buffer.alloc(0)
  server.send(Buffer.concat([header, query.subarray(12, at + 5), answer]), peer.port, peer.address)
})

before(async () => {
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  resolver = createResolver(() => [`127.0.0.1:${server.address().port}`])
})
after(() => server.close())

const zones = (...names: string[]) => names.map((zone) => ({ zone, score: 3 }))

for (const [what, address, zone, listed] of [
  ['an address in 127.0.0.0/8', '127.0.0.2', 'listed.example', true],
  ['IPv6, by nibbles (RFC 5782 §2.4)', '2001:2334::1', 'listed.example', true],
  ['an IPv4-mapped address', '::ffff:127.0.0.2', 'listed.example', true],
  ['another address', '127.0.0.1', 'listed.example', false],
  ['an error code, 127.255.255.x', '127.0.0.2', 'blocked.example', false],
  ['an answer outside 127.0.0.0/8', '127.0.0.2', 'parked.example', false],
  ['a private address', '10.0.0.2', 'listed.example', false],
  ['no answer in time', '127.0.0.2', 'silent.example', false],
] as const)
  test(`DNSBL: ${what} is ${listed ? 'a listing' : 'none'}`, async () => {
    const hits = await lookUpZones(address, zones(zone), resolver, zone === 'silent.example' ? 300 : 60_000)
    assert.deepEqual(
      hits.map(({ name, score }) => [name, score]),
      listed ? [['RCVD_IN_LISTED_EXAMPLE', 3]] : [],
    )
  })

test('DNSBL: a silent zone does not keep the others from counting', async () => {
  const resolve4 = async (name: string) => (name.includes('silent.') ? new Promise(() => {}) : ['127.0.0.2'])
  const hits = await lookUpZones(
    '127.0.0.2',
    zones('silent.example', 'listed.example'),
    { resolve4 } as Pick<DnsResolver, 'resolve4'>,
    50,
  )
  assert.equal(hits.length, 1)
})

test('reversed addresses', () => {
  assert.equal(reversedAddress('192.0.2.1'), '1.2.0.192')
  assert.equal(reversedAddress('nonsense'), undefined)
})
