/** A spec that cannot be used: it changes nothing, and what the last one asked for is kept as it should be. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MailServerResource } from '../api/group.ts'
import { findCondition } from '../kube/conditions.ts'
import { Deployment, Secret, Service } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted, writes } = await cluster.countingClient()
/** How far the operator's clock is ahead. */
let aheadMs = 0
const start = async () => {
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
    {
      client: counted,
      now: () => new Date(Date.now() + aheadMs),
      verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
    },
  )
  await operator.lead()
  return operator
}
let operator = await start()
after(() => operator[Symbol.asyncDispose]())

const change = (name: string, spec: Record<string, unknown>) =>
  client.mergePatch(MailServerResource, { namespace, name }, { spec })
const lookAt = (name: string) => operator.controllers[0]?.queue.add({ namespace, name })
async function untilInvalid(name: string) {
  const found = await cluster.until(name, (server) => reasonOf(server, 'Stalled') === 'InvalidSpec', 'InvalidSpec')
  return { found, message: findCondition(found.status?.conditions, 'Stalled')?.message ?? '' }
}
const untilWell = (name: string) =>
  cluster.until(name, (found) => isReady(found) && !reasonOf(found, 'Stalled'), `${name} to be well`)
async function silent(): Promise<void> {
  for (let before = -1; writes.length > before; ) {
    before = writes.length
    await sleep(400)
  }
}
async function comesBack(name: string): Promise<void> {
  await client.delete(Service, { namespace, name })
  await cluster.eventually(() => cluster.get(Service, name), `Service ${name} to come back`)
}
/** The CRD cannot see that the address is at none of the domains. */
const ELSEWHERE = [{ name: 'example.org', catchAll: 'ann@elsewhere.example' }]

test('nothing of it is carried out, and what is there is held to the last valid spec', async () => {
  await cluster.mailServer('post')
  await untilWell('post')
  await silent()
  const pods = (await client.get(Deployment, { namespace, name: 'post' })).spec
  await change('post', { domains: ELSEWHERE, replicas: 3, deletionPolicy: 'Delete', image: 'engine:2' })
  const { found, message } = await untilInvalid('post')
  assert.match(message, /^spec\.domains\[0\].*The last valid spec stays in force$/)
  assert.equal(found.status?.observedGeneration, found.metadata.generation)
  assert.equal(reasonOf(found, 'Ready'), 'InvalidSpec')
  assert.equal(findCondition(found.status?.conditions, 'EngineAvailable')?.status, 'True')
  await comesBack('post-http')
  const deployment = await client.get(Deployment, { namespace, name: 'post' })
  assert.deepEqual(deployment.spec, pods)
  assert.equal((await client.get(MailServerResource, { namespace, name: 'post' })).metadata.finalizers, undefined)

  await silent()
  const before = writes.length
  for (let round = 0; round < 3; round++) {
    lookAt('post')
    await sleep(100)
  }
  assert.deepEqual(writes.slice(before), [], 'said once')
})

test('its certificate is renewed meanwhile', async () => {
  const certificate = async () => (await client.get(Secret, { namespace, name: 'post-tls' })).data?.['tls.crt']
  const before = await certificate()
  aheadMs = 300 * 86_400_000
  lookAt('post')
  await cluster.eventually(async () => (await certificate()) !== before, 'the certificate to be renewed')
  aheadMs = 0
})

test('an operator that starts anew knows no other spec, changes nothing, and says so', async () => {
  await operator[Symbol.asyncDispose]()
  operator = await start()
  const found = await cluster.until(
    'post',
    (server) =>
      !/stays in force/.test(findCondition(server.status?.conditions, 'Stalled')?.message ?? 'stays in force'),
    'what the new operator says',
  )
  assert.equal(reasonOf(found, 'Stalled'), 'InvalidSpec')
  await client.delete(Service, { namespace, name: 'post-http' })
  await sleep(500)
  assert.equal(await cluster.get(Service, 'post-http'), undefined)
  await change('post', { domains: [{ name: 'example.org' }], replicas: 2, image: null })
  await untilWell('post')
  assert.ok(await cluster.get(Service, 'post-http'))
})

test('a paused MailServer with such a spec is not touched', async () => {
  await client.mergePatch(
    MailServerResource,
    { namespace, name: 'post' },
    { metadata: { annotations: { 'mail.openova.io/paused': 'true' } }, spec: { domains: ELSEWHERE } },
  )
  const { message } = await untilInvalid('post')
  assert.doesNotMatch(message, /stays in force/)
  await client.delete(Service, { namespace, name: 'post' })
  await sleep(500)
  assert.equal(await cluster.get(Service, 'post'), undefined)
})
