/** Two installations of the operator that watch the same namespace: one looks after a MailServer, the other says so. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailAccountResource, MailServerResource, OPERATOR } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { KubeError } from '../kube/errors.ts'
import { silentLogger } from '../kube/logger.ts'
import { Deployment, Event, Lease } from '../kube/resources.ts'
import type { KubeObject } from '../kube/types.ts'
import { type Operator, prepareOperator } from '../run.ts'
import { createClaims } from './claims.ts'
import { isReady, openTestCluster } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster

const operators = new AsyncDisposableStack()
after(() => operators.disposeAsync())
interface Installation {
  operator: Operator
  writes: string[]
  quiet(): Promise<void>
}
/** Leads by the Lease of its name, which is held without being renewed. */
async function install(name: string): Promise<Installation> {
  const spec = { holderIdentity: `${name}-0_ab`, leaseDurationSeconds: 3600 }
  await client.create(Lease, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace },
    spec,
  } as KubeObject)
  const { client: own, writes, quiet } = await cluster.countingClient()
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: `engine:${name}`, identity: name, lease: { namespace, name } },
    { client: own, verifyDns: async () => [] },
  )
  operators.use(operator)
  await operator.lead()
  return { operator, writes, quiet: () => quiet(operator) }
}
const release = (name: string) => client.mergePatch(Lease, { namespace, name }, { spec: { holderIdentity: '' } })
const holderOf = ({ metadata }: KubeObject) => metadata.annotations?.[OPERATOR]
const scale = (replicas: number) =>
  client.mergePatch(MailServerResource, { namespace, name: 'post' }, { spec: { replicas } })
const scaled = (replicas: number) =>
  cluster.eventually(async () => {
    const deployment = await cluster.get(Deployment, 'post')
    return (deployment?.spec as { replicas?: number } | undefined)?.replicas === replicas
  }, `${replicas} replicas`)

const makeAccount = (name: string) =>
  client.create(MailAccountResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailAccount',
    metadata: { name, namespace },
    spec: { serverRef: { name: 'post' }, address: `${name}@example.org` },
  })

const one = await install('one')
let two: Installation

test('the first that sees a MailServer looks after it', async () => {
  await cluster.mailServer('post')
  const server = await cluster.until('post', isReady, 'post to be Ready')
  assert.equal(holderOf(server), `${namespace}/one`)
  assert.equal(one.operator.heldByOthers(), 0)
})

test('another that watches it writes nothing but that it leaves it alone', async () => {
  two = await install('two')
  const told = await cluster.eventually(async () => {
    const { items } = await client.list<KubeObject>(Event, { namespace })
    return items.find(({ reason }) => reason === 'HeldByAnotherOperator')
  }, 'the Event')
  assert.match(String(told.note), new RegExp(`Lease ${namespace}/one looks after it; that of Lease ${namespace}/two`))
  await makeAccount('ann')
  await scale(4)
  await scaled(4)
  await client.mergePatch(Deployment, { namespace, name: 'post' }, { spec: { replicas: 9 } })
  await scaled(4)
  await one.quiet()
  await two.quiet()
  assert.deepEqual(
    two.writes.filter((write) => !write.includes('Event')),
    [],
  )
  assert.equal(two.operator.heldByOthers(), 1)
})

test('when the first has given its Lease back the other goes on, with its accounts too', async () => {
  await one.operator[Symbol.asyncDispose]()
  await release('one')
  await scale(5)
  await cluster.until(
    'post',
    (server) => {
      two.operator.controllers[0]?.queue.add({ namespace, name: 'post' })
      return isReady(server) && holderOf(server) === `${namespace}/two`
    },
    'the other to take it over',
  )
  await scaled(5)
  await makeAccount('bob')
  await cluster.eventually(async () => two.writes.includes('apply MailAccount/status bob'), 'an account to be told of')
  assert.equal(two.operator.heldByOthers(), 0)
})

const held = { metadata: { name: 'post', namespace: 'mail', annotations: { [OPERATOR]: 'ops/other' } } } as unknown
/** Claims of ops/ours that see the Lease of the other as `find` says. */
function claimsOf(find: () => Promise<unknown>) {
  let now = 0
  const claims = createClaims({
    client: { find: find as () => Promise<undefined> },
    lease: { namespace: 'ops', name: 'ours' },
    events: { record() {} },
    logger: silentLogger,
    monotonic: () => now,
  })
  return {
    heldAfter(ms: number) {
      now += ms
      return claims.heldBy(held as MailServer)
    },
  }
}

test('a Lease that is not renewed for as long as it lasts holds nothing any more', async () => {
  let renewTime = '1'
  const { heldAfter } = claimsOf(async () => ({
    spec: { holderIdentity: 'other-0', leaseDurationSeconds: 15, renewTime },
  }))
  assert.equal(await heldAfter(0), 'ops/other', 'seen for the first time')
  assert.equal(await heldAfter(14_000), 'ops/other')
  renewTime = '2'
  assert.equal(await heldAfter(10_000), 'ops/other')
  assert.equal(await heldAfter(14_000), 'ops/other')
  assert.equal(await heldAfter(6_000), undefined)
})

test('one that is gone holds nothing, one that may not be read does', async () => {
  assert.equal(await claimsOf(async () => undefined).heldAfter(0), undefined)
  const forbidden = new KubeError('get leases: 403', { kind: 'Forbidden', code: 403 })
  assert.equal(await claimsOf(() => Promise.reject(forbidden)).heldAfter(0), 'ops/other')
})
