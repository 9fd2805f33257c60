/** What a MailAccount says that waits too long, or whose reconcile throws, and that both heal by themselves. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailAccountResource } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { KubeApi } from '../kube/client.ts'
import { kubeErrorOf } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import { isReady, openTestCluster } from '../mailserver/testing/cluster.ts'
import { prepareOperator } from '../run.ts'
import { startEngineDouble } from './testing/engine.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
// A real API server refuses loopback addresses in EndpointSlices, so there the engine cannot be played here.
const skip = cluster.local ? false : 'the engine can be played on the local API only'
const engine = await startEngineDouble()
const { client: counted, writes } = await cluster.countingClient()
/** Secrets of these names cannot be made, as where a quota or a policy says no. */
const forbidden = new Set<string>()
let refusals = 0
const operatorClient: KubeApi = {
  ...counted,
  async create(resource, object) {
    if (resource !== Secret || !forbidden.has(object.metadata.name)) return counted.create(resource, object)
    refusals++
    // The number is another one each time, as that of a request.
    const message = `admission webhook "quota" denied the request ${1000 + refusals}`
    throw kubeErrorOf('create secrets', 403, { kind: 'Status', reason: 'Forbidden', message })
  },
}
/** How far the operator's clock is ahead. */
let aheadMs = 0
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  { client: operatorClient, verifyDns: async () => [], now: () => new Date(Date.now() + aheadMs) },
)
after(async () => {
  await operator[Symbol.asyncDispose]()
  await engine[Symbol.asyncDispose]()
})
await operator.lead()

const make = (name: string, spec: Record<string, unknown> = {}) =>
  client.create(MailAccountResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailAccount',
    metadata: { name, namespace },
    spec: { serverRef: { name: 'post' }, address: `${name}@example.org`, ...spec },
  })
const lookAt = (name: string) => operator.controllers[1]?.queue.add({ namespace, name })
/** Waits until its conditions are these. */
const until = (name: string, conditions: string[]) =>
  cluster.eventually(async () => {
    const { status } = await client.get<MailAccount>(MailAccountResource, { namespace, name })
    const shown = status?.conditions?.map(({ type, status, reason }) => `${type}=${status} ${reason}`)
    return shown?.join() === conditions.join() && status
  }, `${name} to say ${conditions.join()}`)
const statusWrites = (name: string) => writes.filter((write) => write === `apply MailAccount/status ${name}`).length

test('a server that does not come is waited for, Stalled after a while, and taken up when it is there', {
  skip,
}, async () => {
  await make('alice')
  await until('alice', ['Ready=False ServerMissing', 'Reconciling=True ServerMissing'])
  assert.ok((operator.controllers[1]?.queue.size().delayed ?? 0) > 0, 'nothing else brings the look at its deadline')
  aheadMs += 16 * 60_000
  lookAt('alice')
  const status = await until('alice', ['Ready=False ServerMissing', 'Stalled=True DeadlineExceeded'])
  assert.equal(status.conditions?.[1]?.message, 'ServerMissing: MailServer post does not exist')
  await cluster.mailServer('post')
  await until('alice', ['Ready=False ServerNotReady', 'Reconciling=True ServerNotReady'])
  await cluster.until('post', isReady, 'post to be Ready')
  aheadMs += 39 * 60_000
  lookAt('alice')
  await cluster.eventually(async () => operator.controllers[1]?.queue.size().running === 0, 'the look')
  await until('alice', ['Ready=False ServerNotReady', 'Reconciling=True ServerNotReady'])
  aheadMs += 2 * 60_000
  lookAt('alice')
  await until('alice', ['Ready=False ServerNotReady', 'Stalled=True DeadlineExceeded'])
  await engine.announce(client, { namespace, name: 'post' }, true)
  await until('alice', ['Ready=True Applied'])
})

test('the same of a Secret', { skip }, async () => {
  await make('bob', { passwordSecretRef: { name: 'bob', key: 'word' } })
  await until('bob', ['Ready=False SecretMissing', 'Reconciling=True SecretMissing'])
  aheadMs += 16 * 60_000
  lookAt('bob')
  await until('bob', ['Ready=False SecretMissing', 'Stalled=True DeadlineExceeded'])
  const data = { word: Buffer.from('of bob').toString('base64') }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bob', namespace }, data })
  lookAt('bob')
  await until('bob', ['Ready=True Applied'])
})

test('what the API refuses is told, once, Stalled after a while, and gone when it is', { skip }, async () => {
  forbidden.add('carol-password')
  await make('carol')
  const status = await until('carol', ['Ready=False ReconcileFailed', 'Reconciling=True ReconcileFailed'])
  assert.match(
    status.conditions?.[0]?.message ?? '',
    /^create secrets: 403 Forbidden: admission webhook "quota" denied/,
  )
  const told = statusWrites('carol')
  const tries = refusals
  for (let round = 0; round < 4; round++) {
    lookAt('carol')
    await cluster.eventually(async () => refusals > tries + round, 'another try')
  }
  assert.equal(statusWrites('carol'), told)
  aheadMs += 11 * 60_000
  lookAt('carol')
  await until('carol', ['Ready=False ReconcileFailed', 'Stalled=True ReconcileFailed'])
  forbidden.clear()
  lookAt('carol')
  await until('carol', ['Ready=True Applied'])
})

test('an account that the engine has stays Ready while its reconciles fail', { skip }, async () => {
  await client.delete(Secret, { namespace, name: 'carol-password' })
  forbidden.add('carol-password')
  aheadMs += 11 * 60_000
  lookAt('carol')
  await until('carol', ['Ready=True Applied', 'Reconciling=True ReconcileFailed'])
  // Also where the engine is away when the failures end, and nothing new is to be told.
  await engine.announce(client, { namespace, name: 'post' }, false)
  forbidden.clear()
  lookAt('carol')
  await until('carol', ['Ready=True Applied'])
})
