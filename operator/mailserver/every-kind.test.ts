/** A MailServer that asks for everything, where the kinds of all others are served: applied once, and then silent. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Ingress, Secret } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { OPTIONAL_KINDS, READ_ONLY } from './kinds.ts'
import { openTestCluster, reasonOf } from './testing/cluster.ts'
import { EVERYTHING } from './testing/context.ts'
import { applyThirdPartyCrds, noThirdPartyCrds } from './testing/third-party-crds.ts'

test('every kind of others is applied once, and reconciling again writes nothing', {
  skip: noThirdPartyCrds,
}, async () => {
  const cluster = await openTestCluster()
  const { client, namespace } = cluster
  await applyThirdPartyCrds(client)
  const { client: counted, writes, quiet } = await cluster.countingClient()
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
    { client: counted, ensureBucket: async () => ({ ok: true, message: 'answers' }), verifyDns: async () => [] },
  )
  after(() => operator[Symbol.asyncDispose]())
  await operator.lead()
  for (const [name, keys] of [
    ['s3', ['accessKey', 'secretKey']],
    ['s3-ca', ['ca.crt']],
    ['relay', ['username', 'password']],
  ] as const) {
    const data = Object.fromEntries(keys.map((key) => [key, Buffer.from('x').toString('base64')]))
    await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data })
  }
  // In the namespace that the operator's role is for.
  await cluster.mailServer('every', { ...EVERYTHING, gateway: { name: 'public', httpSection: 'https', mail: true } })
  // Nobody plays cert-manager here, so the first Pods wait for the certificate; all other objects are made.
  await cluster.until('every', (found) => reasonOf(found, 'MonitoringReady') === 'Applied', 'monitoring to be applied')
  await cluster.until(
    'every',
    (found) => reasonOf(found, 'RoutesReady') === 'GatewayMissing',
    'the Gateway to be missed',
  )
  await cluster.until('every', (found) => reasonOf(found, 'DatabaseReady') === 'PoolerStarting', 'the database')
  for (const kind of OPTIONAL_KINDS) {
    const isWritten = writes.some((write) => write.startsWith(`apply ${kind} every`))
    assert.equal(isWritten, !READ_ONLY.some((resource) => resource.kind === kind), kind)
  }
  const status = { loadBalancer: { ingress: [{ ip: '198.51.100.4' }] } }
  await client.mergePatch(Ingress, { namespace, name: 'every-http' }, { status }, { subresource: 'status' })
  await cluster.until(
    'every',
    ({ status: seen }) =>
      seen?.dns?.records?.some(({ name, value }) => name === 'mta-sts.example.org' && value === '198.51.100.4') ??
      false,
    'the names that are asked by HTTP to lead to the Ingress',
  )
  await quiet(operator)

  const before = writes.length
  for (let round = 0; round < 4; round++) {
    operator.controllers[0]?.queue.add({ namespace, name: 'every' })
    await quiet(operator)
  }
  assert.deepEqual(writes.slice(before), [])
})
