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
function endpoints(): Endpoint[] {
  const object = dnsEndpoint(contextOf({ dns: { publish: 'ExternalDNS', ttlSeconds: 300 } }))
  assert.ok(object)
  return (object.spec as { endpoints: Endpoint[] }).endpoints
}

test('SRV targets end in a dot, all others do not (external-dns source/crd.go)', () => {
  for (const { recordType, targets } of endpoints()) {
    for (const target of targets)
      if (recordType !== 'TXT') assert.equal(target.endsWith('.'), recordType === 'SRV', target)
  }
})

test('reverse DNS is not ours to publish, and everything else is there once', () => {
  const names = endpoints().map(({ dnsName, recordType }) => `${recordType} ${dnsName}`)
  assert.equal(
    names.some((name) => name.startsWith('PTR')),
    false,
  )
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.includes('MX example.org') && names.includes('TXT default._domainkey.example.org'))
  assert.ok(endpoints().every(({ recordTTL }) => recordTTL === 300))
})

test('nothing unless asked for', () => assert.equal(dnsEndpoint(contextOf()), undefined))
