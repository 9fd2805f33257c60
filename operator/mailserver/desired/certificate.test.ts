import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { allNames, certificates } from './certificate.ts'
import type { DesiredContext } from './context.ts'

const certificate = (context: DesiredContext) => certificates(context)[0]

test('cert-manager is asked for every public name', () => {
  const spec = certificate(contextOf({ tls: { issuerRef: { name: 'letsencrypt', kind: 'ClusterIssuer' } } }))
    ?.spec as Record<string, unknown>
  assert.deepEqual(spec.dnsNames, [
    'mail.example.org',
    'mta-sts.example.org',
    'autoconfig.example.org',
    'autodiscover.example.org',
  ])
  assert.deepEqual(spec.issuerRef, { name: 'letsencrypt', kind: 'ClusterIssuer', group: 'cert-manager.io' })
  assert.equal(spec.secretName, 'stalwart-tls')
})

test('the key stays over renewals only where a TLSA record is of it', () => {
  const rotationPolicy = (dns: { tlsa?: { enabled: boolean } }) =>
    (certificate(contextOf({ dns, tls: { issuerRef: { name: 'x' } } }))?.spec as Record<string, unknown>)?.privateKey
  assert.deepEqual(rotationPolicy({}), { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' })
  assert.deepEqual(rotationPolicy({ tlsa: { enabled: true } }), {
    algorithm: 'ECDSA',
    size: 256,
    rotationPolicy: 'Never',
  })
})

test('our own certificate is for the names inside the cluster and port-forwards too', () => {
  const names = allNames(contextOf(), ['203.0.113.7'])
  for (const name of [
    'stalwart.communication.svc',
    'stalwart-http.communication.svc.cluster.local',
    'localhost',
    '127.0.0.1',
    '::1',
    '203.0.113.7',
  ]) {
    assert.ok(names.includes(name), name)
  }
})

test('without an issuer there is no Certificate', () => assert.deepEqual(certificates(contextOf()), []))

test('names that one certificate has no room for are asked for in further ones', () => {
  const domains = Array.from({ length: 40 }, (_, index) => ({ name: `d${index}.example` }))
  const tls = { issuerRef: { name: 'x' } }
  const found = certificates(contextOf({ domains, tls, dns: { tlsa: { enabled: true } } }))
  const specs = found.map(({ metadata, spec }) => {
    const { secretName, dnsNames, privateKey } = spec as {
      secretName: string
      dnsNames: string[]
      privateKey: { rotationPolicy: string }
    }
    return [metadata.name, secretName, dnsNames.length, dnsNames[0], privateKey.rotationPolicy]
  })
  // A TLSA record is of port 25, which shows the first.
  assert.deepEqual(specs, [
    ['stalwart-tls', 'stalwart-tls', 100, 'mail.example.org', 'Never'],
    ['stalwart-tls-2', 'stalwart-tls-2', 21, 'mta-sts.d33.example', 'Always'],
  ])
})
