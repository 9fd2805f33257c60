import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressesOf, routeOf } from './route.ts'
import { zoneResolver } from './testing/sink.ts'

const resolver = zoneResolver({
  mx: {
    'two.example': [
      { exchange: 'B.two.example.', priority: 20 },
      { exchange: 'a.two.example', priority: 10 },
    ],
    'null.example': [{ exchange: '', priority: 0 }],
    'backup.example': [
      { exchange: 'main.example', priority: 10 },
      { exchange: 'mx.example.org', priority: 20 },
      { exchange: 'worse.example', priority: 30 },
    ],
    'loop.example': [{ exchange: 'mx.example.org', priority: 10 }],
    'bare.example': [],
  },
  a: {
    'bare.example': ['192.0.2.1'],
    'inside.example': ['10.0.0.1', '127.0.0.1'],
    'mixed.example': ['10.0.0.1', '8.8.8.8'],
  },
  silent: ['silent.example'],
})

for (const [what, domain, want] of [
  ['hosts by preference', 'two.example', { hosts: ['a.two.example', 'b.two.example'] }],
  ['no MX: the domain itself (RFC 5321 §5.1)', 'bare.example', { hosts: ['bare.example'] }],
  ['an address literal', '[192.0.2.9]', { hosts: ['192.0.2.9'] }],
  ['we are the backup: only better hosts', 'backup.example', { hosts: ['main.example'] }],
] as const)
  test(`route: ${what}`, async () => assert.deepEqual(await routeOf(domain, 'mx.example.org', resolver), want))

for (const [what, domain, enhanced] of [
  ['null MX (RFC 7505)', 'null.example', '5.1.10'],
  ['a domain that does not exist', 'nowhere.example', '5.1.2'],
  ['we are the best MX: a loop', 'loop.example', '5.4.6'],
  ['DNS does not answer', 'silent.example', '4.4.3'],
] as const)
  test(`route: ${what} is ${enhanced}`, async () => {
    const route = await routeOf(domain, 'mx.example.org', resolver)
    assert.equal('reply' in route && route.reply.enhanced, enhanced)
  })

for (const [what, host, allowPrivate, want] of [
  ['private addresses are left out', 'mixed.example', false, ['8.8.8.8']],
  ['unless they are allowed', 'inside.example', true, ['10.0.0.1', '127.0.0.1']],
] as const)
  test(`addresses: ${what}`, async () =>
    assert.deepEqual(await addressesOf(host, resolver, allowPrivate), { addresses: want }))

for (const [what, host, enhanced] of [
  ['only private ones', 'inside.example', '5.4.4'],
  ['a loopback literal', '127.0.0.1', '5.4.4'],
  ['an IPv4-mapped loopback literal', '::ffff:127.0.0.1', '5.4.4'],
  ['no answer', 'silent.example', '4.4.3'],
] as const)
  test(`addresses: ${what} is ${enhanced}`, async () => {
    const found = await addressesOf(host, resolver, false)
    assert.equal('reply' in found && found.reply.enhanced, enhanced)
  })
