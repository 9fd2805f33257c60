import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { dnsEndpoint } from './dns-endpoint.ts'

interface Endpoint {
  dnsName: string
  recordType: string
  targets: string[]
  recordTTL: number
}
function endpoints(externalDNS: { texts?: 'Quoted' | 'Plain' } = {}): Endpoint[] {
  const caa = { issuers: ['letsencrypt.org'] }
  const dns = { publish: 'ExternalDNS' as const, externalDNS, ttlSeconds: 300, caa, tlsa: { enabled: true } }
  const txt = `v=DKIM1; k=rsa; p=${'A'.repeat(392)}` // of a key of 2048 bits
  const dkimKeys = contextOf()
    .facts.dkimKeys.slice(0, 1)
    .map((key) => ({ ...key, txt }))
  const object = dnsEndpoint(contextOf({ dns }, { tlsa: ['3 1 1 abcd'], dkimKeys }))
  assert.ok(object)
  return (object.spec as { endpoints: Endpoint[] }).endpoints
}

test('SRV targets end in a dot, all others do not (external-dns source/crd.go)', () => {
  for (const { recordType, targets } of endpoints()) {
    for (const target of targets)
      if (recordType !== 'TXT') assert.equal(target.endsWith('.'), recordType === 'SRV', target)
  }
})

test('reverse DNS is left out, and everything else is there once', () => {
  const names = endpoints().map(({ dnsName, recordType }) => `${recordType} ${dnsName}`)
  assert.equal(
    names.some((name) => name.startsWith('PTR')),
    false,
  )
  assert.ok(names.includes('CAA mail.example.org') && names.includes('TLSA _25._tcp.mail.example.org'))
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.includes('MX example.org') && names.includes('TXT default._domainkey.example.org'))
  assert.ok(endpoints().every(({ recordTTL }) => recordTTL === 300))
})

const textAt = (name: string, given: Endpoint[]) =>
  given.find(({ dnsName, recordType }) => recordType === 'TXT' && dnsName === name)?.targets

test('texts are as a zone file has them: a ";" would begin a comment, a space another string (RFC 1035 §5.1)', () => {
  assert.deepEqual(textAt('example.org', endpoints()), ['"v=spf1 mx ip4:203.0.113.7 -all"'])
  assert.deepEqual(textAt('_dmarc.example.org', endpoints()), ['"v=DMARC1; p=reject"'])
  const [key = ''] = textAt('default._domainkey.example.org', endpoints()) ?? []
  assert.match(key, /^"v=DKIM1; k=rsa; p=A{237}" "A{155}"$/, 'one value of strings of at most 255 bytes')
})

test('Plain texts are without quotes, for providers that would publish them', () => {
  const plain = endpoints({ texts: 'Plain' })
  assert.deepEqual(textAt('_dmarc.example.org', plain), ['v=DMARC1; p=reject'])
  for (const { recordType, targets } of plain)
    if (recordType === 'TXT') assert.ok(targets.every((target) => !target.includes('"')))
})

test('nothing unless asked for', () => assert.equal(dnsEndpoint(contextOf()), undefined))
