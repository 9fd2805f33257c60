import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { allNames, certificate } from './certificate.ts'

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

test('without an issuer there is no Certificate', () => assert.equal(certificate(contextOf()), undefined))
