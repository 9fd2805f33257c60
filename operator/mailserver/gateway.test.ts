/** A MailServer behind a Gateway: DNS follows the Gateway's addresses, and conditions say what is in the way. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { KubeApi } from '../kube/client.ts'
import { findCondition } from '../kube/conditions.ts'
import { kubeErrorOf } from '../kube/errors.ts'
import type { KubeObject, ListOptions, Resource } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { newestVersions } from './kinds.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'
import { applyThirdPartyCrds, noThirdPartyCrds } from './testing/third-party-crds.ts'

const skip = noThirdPartyCrds
const Gateway: Resource = {
  ...{ group: 'gateway.networking.k8s.io', version: 'v1' },
  ...{ kind: 'Gateway', plural: 'gateways', namespaced: true },
}
const { HTTPRoute, TCPRoute } = newestVersions()
const cluster = await openTestCluster()
const { client, namespace } = cluster
if (!skip) await applyThirdPartyCrds(client)
const { client: counted, writes } = await cluster.countingClient()
const resolved = { verifyDns: async () => [] }
const options = { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' }
let operator = prepareOperator(options, { client: counted, ...resolved })
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const name = 'post'
const MAIL = ['smtp', 'smtps', 'submission', 'imaps']
const condition = (type: string, status: 'True' | 'False', message = '') => ({
  ...{ type, status, reason: type, message },
  lastTransitionTime: '2026-06-01T00:00:00Z',
})
const tell = (resource: Resource, of: string, status: Record<string, unknown>) =>
  client.mergePatch(resource, { namespace, name: of }, { status }, { subresource: 'status' })
/** The Gateway controller's word on the Gateway … */
const program = (...addresses: { type: string; value: string }[]) =>
  tell(Gateway, 'public', {
    addresses,
    conditions: [condition('Accepted', 'True'), condition('Programmed', 'True')],
  })
/** … and on a route. */
async function accept(resource: Resource, of: string): Promise<void> {
  const route = await cluster.eventually(() => client.find(resource, { namespace, name: of }), `${of} to be made`)
  const [parentRef] = (route.spec as { parentRefs: unknown[] }).parentRefs
  const conditions = [condition('Accepted', 'True'), condition('ResolvedRefs', 'True')]
  await tell(resource, of, { parents: [{ parentRef, controllerName: 'example.org/played', conditions }] })
}
const gatewayWith = (...listeners: string[]): KubeObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'public', namespace },
  spec: {
    gatewayClassName: 'played',
    listeners: listeners.map((listener, index) => ({ name: listener, port: 1000 + index, protocol: 'TCP' })),
  },
})
const until = (type: string, reason: string) =>
  cluster.until(name, (found) => reasonOf(found, type) === reason, `${type} ${reason}`)
const leads = ({ status }: MailServer, record: string, value: string) =>
  status?.dns?.records?.some((one) => one.name === record && one.value === value) ?? false

test('what is missing of the Gateway is told step by step, and then its address is where all names lead', {
  skip,
}, async () => {
  await cluster.mailServer(name, {
    service: { type: 'ClusterIP' },
    gateway: { name: 'public', mail: true },
  })
  const missing = await until('RoutesReady', 'GatewayMissing')
  assert.match(
    findCondition(missing.status?.conditions, 'RoutesReady')?.message ?? '',
    /Gateway .*\/public does not exist/,
  )
  await until('NetworkReady', 'AddressPending')

  await client.create(Gateway, gatewayWith('https', 'smtp'))
  await until('RoutesReady', 'GatewayNotAccepted') // nobody has looked at it: the CRD's default says so
  await program()
  await until('RoutesReady', 'ListenerMissing')
  await client.apply(Gateway, gatewayWith('https', ...MAIL), { fieldManager: 'operator-test' })
  await until('RoutesReady', 'NotAccepted')
  await accept(HTTPRoute, `${name}-http`)
  for (const section of MAIL) await accept(TCPRoute, `${name}-${section}`)
  await until('RoutesReady', 'AddressPending')

  await program({ type: 'IPAddress', value: '192.0.2.80' }, { type: 'IPAddress', value: '2001:db8::80' })
  const { status } = await cluster.until(name, isReady, `${name} to be Ready`)
  assert.deepEqual(status?.addresses, ['192.0.2.80', '2001:db8::80'])
  assert.deepEqual(status?.webAddresses, ['192.0.2.80', '2001:db8::80'])
  const records = (status?.dns?.records ?? []).map((one) => `${one.type} ${one.name} ${one.value}`)
  for (const record of [
    'A mail.example.org 192.0.2.80',
    'AAAA mail.example.org 2001:db8::80',
    'A mta-sts.example.org 192.0.2.80',
    'PTR 80.2.0.192.in-addr.arpa mail.example.org.',
    'TXT example.org v=spf1 mx ip4:192.0.2.80 ip6:2001:db8::80 -all',
  ])
    assert.ok(records.includes(record), record)
})

test('another address of the Gateway is followed at once, and what changes in it for others wakes nobody', {
  skip,
}, async () => {
  await program({ type: 'Hostname', value: 'gw.cloud.example' })
  await cluster.until(name, (found) => leads(found, 'mail.example.org', 'gw.cloud.example.'), 'the alias')
  await program({ type: 'IPAddress', value: '192.0.2.81' })
  await cluster.until(name, (found) => leads(found, 'mail.example.org', '192.0.2.81'), 'the new address')
  await sleep(300)
  const before = writes.length
  const listeners = MAIL.map((section) => ({
    ...{ name: section, attachedRoutes: 7, supportedKinds: [] },
    conditions: [condition('Programmed', 'True')],
  }))
  await tell(Gateway, 'public', { listeners })
  operator.controllers[0]?.queue.add({ namespace, name })
  await sleep(300)
  assert.deepEqual(writes.slice(before), [])
})

test('an operator that may not read Gateways says so, and withdraws no address', { skip }, async () => {
  await operator[Symbol.asyncDispose]()
  let forbidden = true
  const blind: KubeApi = {
    ...counted,
    list: async <T extends KubeObject>(resource: Resource, more?: ListOptions, transform?: (object: T) => T) => {
      if (!forbidden || resource.kind !== 'Gateway') return counted.list<T>(resource, more, transform)
      const message = 'gateways.gateway.networking.k8s.io is forbidden: User "mail-operator" cannot list'
      throw kubeErrorOf('list gateways', 403, { kind: 'Status', reason: 'Forbidden', message })
    },
  }
  operator = prepareOperator(options, { client: blind, ...resolved })
  await operator.lead()
  const seen = await until('RoutesReady', 'GatewayForbidden')
  assert.match(findCondition(seen.status?.conditions, 'RoutesReady')?.message ?? '', /cannot list/)
  assert.ok(isReady(seen))
  assert.deepEqual([seen.status?.addresses, seen.status?.webAddresses], [['192.0.2.81'], ['192.0.2.81']])
  assert.ok(leads(seen, 'mail.example.org', '192.0.2.81'))

  forbidden = false
  await program({ type: 'IPAddress', value: '192.0.2.82' })
  await cluster.until(name, (found) => leads(found, 'mail.example.org', '192.0.2.82'), 'it to be read again')
})

test('a Gateway where the operator has no role is told from one that is not there', {
  skip: skip || (cluster.local && 'no RBAC here'),
}, async () => {
  const gateway = { name: 'public', namespace: 'default', mail: true }
  await client.mergePatch(MailServerResource, { namespace, name }, { spec: { gateway } })
  const seen = await until('RoutesReady', 'GatewayForbidden')
  const { message = '' } = findCondition(seen.status?.conditions, 'RoutesReady') ?? {}
  assert.match(message, /^Gateway default\/public cannot be seen, .*cannot list resource "gateways"/)
})

test('without the Gateway in the spec nothing of it is left', { skip }, async () => {
  await client.mergePatch(MailServerResource, { namespace, name }, { spec: { gateway: null } })
  const { status } = await cluster.until(name, (found) => reasonOf(found, 'RoutesReady') === undefined, 'it to be gone')
  assert.deepEqual([status?.addresses ?? [], status?.webAddresses], [[], undefined])
})
