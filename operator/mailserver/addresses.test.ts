/** Where each way in makes the names of a MailServer lead. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpecInput } from '../api/mail-server-spec.ts'
import type { KubeObject } from '../kube/types.ts'
import { type Entrances, gatewayAddresses, mailAddresses, webAddresses } from './addresses.ts'
import { recordsOf } from './desired/dns-endpoint.ts'
import type { Gateway } from './gateways.ts'
import { idOf } from './kinds.ts'
import { MINIMAL } from './testing/context.ts'

const key = { namespace: 'communication', name: 'stalwart' }
const entry = (kind: string, name: string, ...ingress: { ip?: string; hostname?: string }[]): KubeObject => ({
  apiVersion: '',
  kind,
  metadata: { name, namespace: key.namespace },
  status: { loadBalancer: { ingress } },
})
const SERVICE = entry('Service', 'stalwart', { ip: '203.0.113.7' })
const INGRESS = entry('Ingress', 'stalwart-http', { ip: '198.51.100.4' }, { ip: '2001:db8::4' })

type Address = Gateway['status']['addresses'][number]
const gateway = (...addresses: Address[]): Entrances['gateway'] => ({
  key: { namespace: 'gateways', name: 'public' },
  gateway: {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'public', namespace: 'gateways' },
    spec: { listeners: [] },
    status: { addresses, conditions: [], listeners: [] },
  },
})
const GATEWAY = gateway({ type: 'IPAddress', value: '192.0.2.80' })
const UNSEEN: Entrances['gateway'] = {
  key: { namespace: 'gateways', name: 'public' },
  gateway: undefined,
  unseen: { reason: 'GatewayForbidden', message: 'may not' },
}
const parentRef = { name: 'public', namespace: 'gateways' }
const routes = (accepted: 'True' | 'False') =>
  ['smtp', 'smtps', 'submission', 'imaps'].map(
    (section): KubeObject => ({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'TCPRoute',
      metadata: { name: `stalwart-${section}`, namespace: key.namespace },
      spec: { parentRefs: [{ ...parentRef, sectionName: section }] },
      status: {
        parents: [
          { parentRef: { ...parentRef, sectionName: section }, conditions: [{ type: 'Accepted', status: accepted }] },
        ],
      },
    }),
  )

interface Seen {
  children?: KubeObject[]
  gateway?: Entrances['gateway']
  told?: Entrances['told']
}
function ways(spec: Partial<MailServerSpecInput>, { children = [], gateway: view, told }: Seen) {
  const parsed = parseMailServerSpec({ ...MINIMAL, ...spec })
  const seen = { key, children: new Map(children.map((child) => [idOf(child), child])), gateway: view, told }
  const addresses = mailAddresses(parsed, seen)
  const web = webAddresses(parsed, seen)
  const records = recordsOf(parsed, { addresses, webAddresses: web, dkimKeys: [] })
  const at = (name: string) =>
    records
      .filter((record) => record.name === name && ['A', 'AAAA', 'CNAME'].includes(record.type))
      .map(({ type, value }) => `${type} ${value}`)
  const [first = [], ...others] = ['mta-sts', 'autoconfig', 'autodiscover'].map((name) => at(`${name}.example.org`))
  for (const other of others) assert.deepEqual(other, first)
  const spf = records.find(({ value }) => value.startsWith('v=spf1'))?.value
  const reverse = records.filter(({ type }) => type === 'PTR').map(({ name }) => name)
  return { host: at('mail.example.org'), web: first, spf, reverse }
}

const ALIAS = ['CNAME mail.example.org.']
const INGRESS_RECORDS = ['A 198.51.100.4', 'AAAA 2001:db8::4']
const viaGateway = { gateway: { name: 'public', namespace: 'gateways' } }
const mailViaGateway = { gateway: { ...viaGateway.gateway, mail: true } }
const inside: Partial<MailServerSpecInput> = { service: { type: 'ClusterIP' } }

const VARIANTS: [string, Partial<MailServerSpecInput>, Seen, host: string[], web: string[]][] = [
  ['a load balancer', {}, { children: [SERVICE] }, ['A 203.0.113.7'], ALIAS],
  [
    'a load balancer with a name',
    {},
    { children: [entry('Service', 'stalwart', { hostname: 'lb.cloud.example' })] },
    ['CNAME lb.cloud.example.'],
    ALIAS,
  ],
  ['a load balancer without an address', {}, { children: [entry('Service', 'stalwart')] }, [], ALIAS],
  ['a NodePort', { service: { type: 'NodePort' } }, { children: [entry('Service', 'stalwart')] }, [], ALIAS],
  ['an Ingress', { ingress: {} }, { children: [SERVICE, INGRESS] }, ['A 203.0.113.7'], INGRESS_RECORDS],
  [
    'an Ingress without an address',
    { ingress: {} },
    { children: [SERVICE, entry('Ingress', 'stalwart-http')] },
    ['A 203.0.113.7'],
    ALIAS,
  ],
  ['a Gateway for HTTP', viaGateway, { children: [SERVICE], gateway: GATEWAY }, ['A 203.0.113.7'], ['A 192.0.2.80']],
  [
    'an Ingress and a Gateway',
    { ...viaGateway, ingress: {} },
    { children: [SERVICE, INGRESS], gateway: GATEWAY },
    ['A 203.0.113.7'],
    INGRESS_RECORDS,
  ],
  [
    'a Gateway for HTTP and mail',
    { ...mailViaGateway, ...inside },
    { children: [entry('Service', 'stalwart'), ...routes('True')], gateway: GATEWAY },
    ['A 192.0.2.80'],
    ['A 192.0.2.80'],
  ],
  [
    'a Gateway with several addresses',
    { ...mailViaGateway, ...inside },
    { gateway: gateway({ value: '2001:db8::80' }, { type: 'IPAddress', value: '192.0.2.80' }) },
    ['A 192.0.2.80', 'AAAA 2001:db8::80'],
    ['A 192.0.2.80', 'AAAA 2001:db8::80'],
  ],
  [
    'a Gateway with a name',
    { ...mailViaGateway, ...inside },
    { gateway: gateway({ type: 'Hostname', value: 'gw.cloud.example' }) },
    ['CNAME gw.cloud.example.'],
    ['CNAME gw.cloud.example.'],
  ],
  ['a Gateway without an address', { ...mailViaGateway, ...inside }, { gateway: gateway() }, [], ALIAS],
  [
    'a load balancer on the way to a Gateway that has not taken up the routes',
    mailViaGateway,
    { children: [SERVICE, ...routes('False')], gateway: GATEWAY },
    ['A 203.0.113.7'],
    ['A 192.0.2.80'],
  ],
  [
    'a load balancer on the way to a Gateway that has',
    mailViaGateway,
    { children: [SERVICE, ...routes('True')], gateway: GATEWAY },
    ['A 192.0.2.80'],
    ['A 192.0.2.80'],
  ],
  [
    'a load balancer on the way to a Gateway whose routes are still to be made',
    mailViaGateway,
    { children: [SERVICE], gateway: GATEWAY },
    ['A 203.0.113.7'],
    ['A 192.0.2.80'],
  ],
  [
    'a Gateway that cannot be seen for the moment',
    mailViaGateway,
    { children: [SERVICE], gateway: UNSEEN, told: { addresses: ['192.0.2.80'], webAddresses: ['192.0.2.81'] } },
    ['A 192.0.2.80'],
    ['A 192.0.2.81'],
  ],
  ['a Gateway that never was seen', mailViaGateway, { children: [SERVICE], gateway: UNSEEN }, ['A 203.0.113.7'], ALIAS],
]
for (const [what, spec, seen, host, web] of VARIANTS) {
  test(`names with ${what}`, () => {
    const found = ways(spec, seen)
    assert.deepEqual({ host: found.host, web: found.web }, { host, web })
  })
}

test('SPF and reverse DNS are of the addresses where mail is answered, not of those for HTTP', () => {
  const found = ways(mailViaGateway, { children: [SERVICE, INGRESS, ...routes('True')], gateway: GATEWAY })
  assert.equal(found.spf, 'v=spf1 mx ip4:192.0.2.80 -all')
  assert.deepEqual(found.reverse, ['80.2.0.192.in-addr.arpa'])
})

test('of a Gateway’s addresses those count that DNS can lead to, once each', () => {
  const { gateway: given } =
    gateway(
      { type: 'NamedAddress', value: 'pool-a' },
      { type: 'example.com/Pool', value: '192.0.2.1' },
      { type: 'IPAddress', value: 'not-one' },
      { type: 'IPAddress', value: '192.0.2.80' },
      { value: '192.0.2.80' },
    ) ?? {}
  assert.deepEqual(gatewayAddresses(given), ['192.0.2.80'])
})
