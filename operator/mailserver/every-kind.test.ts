/** A MailServer that asks for everything, where the kinds of all others are served: applied once, and then silent. */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { CustomResourceDefinition, Ingress, Secret } from '../kube/resources.ts'
import type { KubeObject } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { OPTIONAL_KINDS } from './kinds.ts'
import { openTestCluster, reasonOf } from './testing/cluster.ts'
import { EVERYTHING } from './testing/context.ts'

const directory = process.env.CRDS ?? new URL('../../../shared/crds', import.meta.url).pathname
const FILES =
  /cnpg-(scheduledbackups|barmancloud-objectstores)|certificates|dnsendpoints|podmonitors|prometheusrules|httproutes|tcproutes\.yaml/
const skip = existsSync(directory) ? false : 'no ../shared/crds'

test('every kind of others is applied once, and reconciling again writes nothing', { skip }, async () => {
  const cluster = await openTestCluster()
  const { client, namespace } = cluster
  for (const file of readdirSync(directory).filter((name) => FILES.test(name))) {
    for (const document of parseAllDocuments(readFileSync(`${directory}/${file}`, 'utf8'))) {
      const crd = document.toJS() as KubeObject | null
      if (crd?.kind === 'CustomResourceDefinition')
        await client.apply(CustomResourceDefinition, crd, { fieldManager: 'operator-test' })
    }
  }
  const { client: counted, writes } = await cluster.countingClient()
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
  await cluster.mailServer('every', EVERYTHING)
  // Nobody plays cert-manager here, so the first Pods wait for the certificate; all other objects are made.
  await cluster.until('every', (found) => reasonOf(found, 'MonitoringReady') === 'Applied', 'monitoring to be applied')
  await cluster.until('every', (found) => reasonOf(found, 'RoutesReady') === 'NotAccepted', 'routes to be made')
  await cluster.until('every', (found) => reasonOf(found, 'DatabaseReady') === 'ClusterReady', 'the database')
  for (const kind of OPTIONAL_KINDS)
    assert.ok(
      writes.some((write) => write.startsWith(`apply ${kind} every`)),
      kind,
    )
  const status = { loadBalancer: { ingress: [{ ip: '198.51.100.4' }] } }
  await client.mergePatch(Ingress, { namespace, name: 'every-http' }, { status }, { subresource: 'status' })
  await cluster.until(
    'every',
    ({ status: seen }) =>
      seen?.dns?.records?.some(({ name, value }) => name === 'mta-sts.example.org' && value === '198.51.100.4') ??
      false,
    'the names that are asked by HTTP to lead to the Ingress',
  )
  await sleep(500)

  const before = writes.length
  for (let round = 0; round < 4; round++) {
    operator.controllers[0]?.queue.add({ namespace, name: 'every' })
    await sleep(100)
  }
  assert.deepEqual(writes.slice(before), [])
})
