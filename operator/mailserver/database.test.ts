/** A Pooler and a recovery through the whole loop, on the local API or a real one (KUBECONFIG_UNDER_TEST). */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource } from '../api/group.ts'
import { CustomResourceDefinition, Deployment, Secret } from '../kube/resources.ts'
import type { KubeObject, Resource } from '../kube/types.ts'
import { cnpgClusterCrd } from '../local/runner/cnpg-crd.ts'
import { prepareOperator } from '../run.ts'
import { newestVersions } from './kinds.ts'
import { secretText } from './observe.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'
import { namePoolerInCertificate, playPooler } from './testing/pooler.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { Cluster, Pooler, ObjectStore, ScheduledBackup } = newestVersions()

/** The kind with an open schema. */
function openCrd({ group, kind, plural }: Resource): KubeObject {
  const spec = structuredClone(cnpgClusterCrd.spec) as { versions: { additionalPrinterColumns: unknown[] }[] }
  for (const version of spec.versions) version.additionalPrinterColumns = []
  return {
    ...cnpgClusterCrd,
    metadata: { name: `${plural}.${group}` },
    spec: { ...spec, group, names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() } },
  }
}
for (const resource of [Pooler, ObjectStore, ScheduledBackup]) {
  await client.apply(CustomResourceDefinition, openCrd(resource), { fieldManager: 'operator-test' })
  await cluster.eventually(
    () => client.list(resource, { namespace }).catch(() => undefined),
    `${resource.kind} to be served`,
  )
}

const { client: counted, writes, quiet } = await cluster.countingClient()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  { client: counted, ensureBucket: async () => ({ ok: true, message: '' }), verifyDns: async () => [] },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const change = (name: string, cnpg: unknown) =>
  client.mergePatch(MailServerResource, { namespace, name }, { spec: { database: { cnpg } } })
const until = (name: string, reason: string) =>
  cluster.until(name, (found) => reasonOf(found, 'DatabaseReady') === reason, reason)

async function host(server: string): Promise<string> {
  const secret = await cluster.get(Secret, `${server}-db-credentials`)
  return new URL((secret && secretText(secret).url) ?? '').hostname
}

const bouncers = (server: string, ...ready: boolean[]) => playPooler(cluster, server, ready)
const nameInCertificate = (server: string) => namePoolerInCertificate(cluster, server)

const templateOf = async (server: string) => {
  const { spec } = (await client.get(Deployment, { namespace, name: server })) as { spec?: { template?: unknown } }
  return JSON.stringify(spec?.template)
}

test('a new server’s engine starts once PgBouncer is there, and is connected through it', async () => {
  await cluster.mailServer('first', { database: { cnpg: { pooler: { instances: 2 } } } })
  await until('first', 'PoolerStarting')
  assert.equal(await cluster.get(Deployment, 'first'), undefined)
  await nameInCertificate('first')
  await bouncers('first', true, true)
  await cluster.until('first', isReady, 'first to be Ready')
  assert.equal(await host('first'), `first-db-pooler.${namespace}`)
})

test('PgBouncers that go and come are said, and roll nothing', async () => {
  const before = await templateOf('first')
  await bouncers('first', true, false)
  await until('first', 'PoolerDegraded')
  await bouncers('first', false, false)
  await until('first', 'PoolerUnavailable')
  await bouncers('first', true, true)
  await cluster.until('first', isReady, 'first to be Ready again')
  assert.equal(await templateOf('first'), before)
})

test('settled, it causes no write', async () => {
  await quiet(operator)
  const before = writes.length
  for (let round = 0; round < 4; round++) {
    operator.controllers[0]?.queue.add({ namespace, name: 'first' })
    await quiet(operator)
  }
  assert.deepEqual(writes.slice(before), [])
})

/** Pods on their way out. */
const leaving = (server: string, terminatingReplicas: number) =>
  client.mergePatch(
    Deployment,
    { namespace, name: server },
    { status: { terminatingReplicas } },
    { subresource: 'status' },
  )
const names = async () => (await cluster.get(Cluster, 'first-db'))?.spec as { certificates?: unknown } | undefined

test('taken out again, the Pooler goes after the last engine that used it, and its name in the certificate after that', async () => {
  const before = writes.length
  if (cluster.local) await leaving('first', 1) // elsewhere the Deployment's own controller says
  await change('first', { pooler: null })
  await cluster.eventually(async () => (await host('first')) === `first-db-rw.${namespace}`, 'the engine to be rolled')
  if (cluster.local) {
    await quiet(operator)
    assert.ok(await cluster.get(Pooler, 'first-db-pooler'))
    assert.ok((await names())?.certificates)
    await leaving('first', 0)
  }
  await cluster.eventually(async () => (await cluster.get(Pooler, 'first-db-pooler')) === undefined, 'the Pooler to go')
  await cluster.eventually(async () => (await names())?.certificates === undefined, 'its name to go')
  const order = writes.slice(before).filter((write) => / first(-db|-db-pooler|-db-credentials)?$/.test(write))
  const at = (write: string) => order.indexOf(write)
  assert.ok(at('apply Secret first-db-credentials') < at('apply Deployment first'), order.join('\n'))
  assert.ok(at('apply Deployment first') < at('delete Pooler first-db-pooler'), order.join('\n'))
  assert.ok(at('delete Pooler first-db-pooler') < order.lastIndexOf('apply Cluster first-db'), order.join('\n'))
})

test('a running server takes a Pooler up when it is there, and not before', async () => {
  await cluster.until('first', isReady, 'first to be Ready')
  await bouncers('first', false)
  const before = await templateOf('first')
  await change('first', { pooler: { instances: 1 } })
  const waiting = await until('first', 'PoolerStarting')
  assert.ok(isReady(waiting))
  assert.equal(await templateOf('first'), before)
  await bouncers('first', true)
  await cluster.eventually(async () => (await host('first')) === `first-db-pooler.${namespace}`, 'the switch')
  await cluster.until('first', isReady, 'first to be Ready')
  assert.notEqual(await templateOf('first'), before)
})

const store = { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } }
const recovery = { ...store, serverName: 'second-db' }
type ClusterSpec = {
  bootstrap: { initdb?: unknown; recovery?: unknown }
  plugins: { parameters: { serverName?: string } }[]
}
const specOf = async (name: string) => (await client.get(Cluster, { namespace, name })).spec as unknown as ClusterSpec

test('restored under the same name: asked for, the old Cluster stays until it is deleted, and archives where it did', async () => {
  await cluster.mailServer('second', { database: { cnpg: { backup: store } } })
  await cluster.until('second', isReady, 'second to be Ready')
  const old = await client.get(Cluster, { namespace, name: 'second-db' })
  await change('second', { instances: 1, backup: { serverName: 'second-db-2' }, recovery })
  const pending = await until('second', 'RecoveryPending')
  assert.equal(reasonOf(pending, 'Stalled'), 'RecoveryPending')
  const kept = await client.get(Cluster, { namespace, name: 'second-db' })
  assert.deepEqual(kept.spec, old.spec)

  await client.delete(Cluster, { namespace, name: 'second-db' })
  await cluster.until('second', isReady, 'second to be Ready')
  const made = await specOf('second-db')
  assert.equal(made.bootstrap.initdb, undefined)
  assert.ok(made.bootstrap.recovery)
  assert.equal(made.plugins[0]?.parameters.serverName, 'second-db-2')
  assert.ok(await cluster.get(ObjectStore, 'second-db-recovery'))
})

test('a database that was restored stays as it is when the recovery is taken out of the spec', async () => {
  const before = await client.get(Cluster, { namespace, name: 'second-db' })
  const { metadata } = await change('second', { recovery: null })
  await cluster.until(
    'second',
    ({ status }) => status?.observedGeneration === metadata.generation,
    'the new spec to be looked at',
  )
  await quiet(operator)
  const now = await client.get(Cluster, { namespace, name: 'second-db' })
  assert.deepEqual(now.spec, before.spec)
  assert.ok(await cluster.get(ObjectStore, 'second-db-recovery'))
})

test('what a restored Cluster is made from stays under deletionPolicy Delete too, and goes with the server', async () => {
  await cluster.mailServer('third', { deletionPolicy: 'Delete', database: { cnpg: { recovery } } })
  await cluster.until('third', isReady, 'third to be Ready')
  const { metadata } = await change('third', { recovery: null })
  await cluster.until(
    'third',
    ({ status }) => status?.observedGeneration === metadata.generation,
    'the new spec to be looked at',
  )
  await quiet(operator)
  assert.ok(await cluster.get(ObjectStore, 'third-db-recovery'))
  await client.delete(MailServerResource, { namespace, name: 'third' })
  await cluster.eventually(async () => (await cluster.get(ObjectStore, 'third-db-recovery')) === undefined, 'it to go')
})

test('backups that the plugin tells of are in the status', async () => {
  await cluster.until('second', isReady, 'second to be Ready')
  const serverRecoveryWindow = {
    'second-db-2': {
      firstRecoverabilityPoint: '2026-05-01T02:05:00Z',
      lastSuccessfulBackupTime: '2026-05-31T02:05:00Z',
    },
  }
  const key = { namespace, name: 'second-db' }
  await client.mergePatch(ObjectStore, key, { status: { serverRecoveryWindow } }, { subresource: 'status' })
  const told = await cluster.until('second', ({ status }) => status?.database?.lastBackup !== undefined, 'the backup')
  assert.equal(told.status?.database?.lastBackup, '2026-05-31T02:05:00Z')
  assert.equal(told.status?.database?.recoveryPointFirst, '2026-05-01T02:05:00Z')
})
