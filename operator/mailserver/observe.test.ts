import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../kube/types.ts'
import { webAddresses } from './observe.ts'

const entry = (kind: string, name: string, ...ingress: { ip?: string; hostname?: string }[]): [string, KubeObject] => [
  `${kind}/${name}`,
  { apiVersion: '', kind, metadata: { name }, status: { loadBalancer: { ingress } } },
]
const seen = (...children: [string, KubeObject][]) =>
  webAddresses({ key: { namespace: 'communication', name: 'stalwart' }, children: new Map(children) })

test('HTTP is answered where the Ingress says, be it addresses or a name', () => {
  const service = entry('Service', 'stalwart', { ip: '203.0.113.7' })
  const some = [{ ip: '2001:db8::4' }, { ip: '198.51.100.4' }]
  assert.deepEqual(seen(service, entry('Ingress', 'stalwart-http', ...some)), ['198.51.100.4', '2001:db8::4'])
  assert.deepEqual(seen(entry('Ingress', 'stalwart-http', { hostname: 'lb.cloud.example' })), ['lb.cloud.example'])
})

test('without an Ingress, and before its controller has told, nobody knows where', () => {
  assert.deepEqual(seen(entry('Service', 'stalwart-http', { ip: '203.0.113.7' })), [])
  assert.deepEqual(seen(entry('Ingress', 'stalwart-http')), [])
})
