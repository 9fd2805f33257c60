/**
 * A database that goes, through the whole loop, on the local API or a real one (KUBECONFIG_UNDER_TEST): what is told,
 * what is made in its place and what is not, and what an acceptance is worth. failures.test.ts has the simple cases.
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { BucketWishes } from '../bucket/client.ts'
import type { KubeApi } from '../kube/client.ts'
import { findCondition } from '../kube/conditions.ts'
import { Secret } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { newestVersions } from './kinds.ts'
import { secretText } from './observe.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { Cluster } = newestVersions()

const held: boolean[] = []
/** Reasons of DatabaseReady, each time the status was written. */
const said: (string | undefined)[] = []
async function startOperator() {
  const { client: counted, quiet } = await cluster.countingClient()
  const heard: KubeApi = {
    ...counted,
    apply(resource, object, options) {
      if (options.subresource === 'status') said.push(reasonOf(object as MailServer, 'DatabaseReady'))
      return counted.apply(resource, object, options)
    },
  }
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
    {
      client: heard,
      ensureBucket: async ({ holdsMail }: BucketWishes) => {
        held.push(holdsMail)
        return { ok: true, message: 'answers' }
      },
      verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
    },
  )
  await operator.lead()
  return { operator, quiet: () => quiet(operator) }
}
let running = await startOperator()
after(() => running.operator[Symbol.asyncDispose]())

const key = { namespace, name: 'post' }
const database = { namespace, name: 'post-db' }
const get = () => client.get<MailServer>(MailServerResource, key)
const annotate = (annotations: Record<string, string | null>) =>
  client.mergePatch(MailServerResource, key, { metadata: { annotations } })
const ready = () => cluster.until('post', isReady, 'post to be Ready')
const uidOf = async () => (await client.get(Cluster, database)).metadata.uid ?? ''
/** With its Secret, as the garbage collector has it where there is a CloudNativePG. */
async function loseDatabase(): Promise<string> {
  const uid = await uidOf()
  await client.delete(Cluster, database)
  await client.delete(Secret, { namespace, name: 'post-db-app' })
  return uid
}
/** That the Cluster of this uid is lost. @returns what is said of it */
async function told(uid: string): Promise<string> {
  const message = ({ status }: MailServer) => findCondition(status?.conditions, 'DatabaseReady')?.message ?? ''
  const seen = await cluster.until(
    'post',
    (found) => reasonOf(found, 'DatabaseReady') === 'DatabaseLost' && message(found).endsWith(`accept-loss=${uid}`),
    `the loss of ${uid} to be told`,
  )
  assert.equal(reasonOf(seen, 'Stalled'), 'DatabaseLost')
  return message(seen)
}
const accept = (uid: string) => annotate({ 'mail.openova.io/accept-loss': uid })
const urlInUse = async () => {
  const credentials = await client.get(Secret, { namespace, name: 'post-db-credentials' })
  return [secretText(credentials).url, credentials.metadata.annotations?.['mail.openova.io/database']]
}

test('what holds mail is remembered from the first account on', async () => {
  const credentials = { accessKey: 'YQ==', secretKey: 'Yg==' }
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's3', namespace },
    data: credentials,
  })
  const s3 = { endpoint: 'http://127.0.0.1:9', bucket: 'post', credentialsSecretRef: { name: 's3' } }
  await cluster.mailServer('post', { storage: { s3 } })
  await ready()
  await running.quiet()
  const before = (await get()).status
  assert.deepEqual([before?.database?.clusterUid, before?.storage?.since], [undefined, undefined])
  // Nobody has mail in it: what is gone is made anew.
  const first = await loseDatabase()
  await cluster.eventually(async () => {
    const found = await client.find(Cluster, database)
    return found !== undefined && found.metadata.uid !== first
  }, 'another database')
  await ready()

  await cluster.toldAccount('post')
  const { status } = await cluster.until(
    'post',
    ({ status }) => status?.storage?.since !== undefined && status.database?.clusterUid !== undefined,
    'both to be remembered',
  )
  assert.equal(status?.database?.clusterUid, await uidOf())
  await cluster.eventually(async () => held.at(-1), 'the bucket to be asked about as one with mail')
  assert.equal(held[0], false)
})

test('a database that goes while no operator runs is told by the next, and no other one is made', async () => {
  await running.operator[Symbol.asyncDispose]()
  const url = await urlInUse()
  const uid = await loseDatabase()
  running = await startOperator()
  assert.match(await told(uid), /^Cluster post-db, which held the mail, is gone\. Restore it/)
  await running.quiet()
  assert.equal(await cluster.get(Cluster, 'post-db'), undefined)
  assert.deepEqual(await urlInUse(), url)
})

test('one that somebody makes in its place is told, and used once the loss is accepted', async () => {
  const lost = (await get()).status?.database?.clusterUid ?? ''
  const url = await urlInUse()
  await cluster.apply({
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: { ...database, labels: { [SERVER_LABEL]: 'post' } },
    spec: { instances: 1, storage: { size: '1Gi' } },
  })
  await cluster.until(
    'post',
    ({ status }) => /another one has its name/.test(findCondition(status?.conditions, 'DatabaseReady')?.message ?? ''),
    'the other one to be told',
  )
  await told(lost)
  await cluster.eventually(async () => (await cluster.get(Cluster, 'post-db'))?.status !== undefined, 'its status')
  const uri = Buffer.from('postgresql://app:another@post-db-rw:5432/app').toString('base64')
  await client.mergePatch(Secret, { namespace, name: 'post-db-app' }, { data: { uri, password: null } })
  await annotate({ 'mail.openova.io/reconcile-at': '1' })
  await running.quiet()
  assert.deepEqual(await urlInUse(), url)
  const { spec } = (await client.get(Cluster, database)) as { spec?: { instances?: number } }
  assert.equal(spec?.instances, 1, 'as somebody made it')

  await accept(lost)
  const uid = await uidOf()
  await cluster.until('post', (found) => isReady(found) && found.status?.database?.clusterUid === uid, 'it to be used')
  const [used, name] = await urlInUse()
  assert.match(used ?? '', /^postgresql:\/\/app:another@/)
  assert.equal(name, uid)
})

test('an acceptance that is still there, or applied again, accepts nothing more', async () => {
  const uid = await loseDatabase()
  await told(uid)
  await accept('something-else')
  await running.quiet()
  await told(uid)
  assert.equal(await cluster.get(Cluster, 'post-db'), undefined)
})

test('an acceptance that is taken away at once holds', async () => {
  const lost = (await get()).status?.database?.clusterUid ?? ''
  await accept(lost)
  await cluster.until('post', ({ status }) => status?.database?.clusterUid !== lost, 'the acceptance to be heard')
  await annotate({ 'mail.openova.io/accept-loss': null })
  await ready()
  assert.equal((await get()).status?.database?.clusterUid, await uidOf())
})

test('one that lost its label is not lost, and gets it again', async () => {
  const uid = await uidOf()
  const before = said.length
  await client.mergePatch(Cluster, database, { metadata: { labels: { [SERVER_LABEL]: null } } })
  await cluster.eventually(
    async () => (await client.get(Cluster, database)).metadata.labels?.[SERVER_LABEL] === 'post',
    'the label',
  )
  await running.quiet()
  assert.equal(await uidOf(), uid)
  assert.equal(said.slice(before).includes('DatabaseLost'), false)
  assert.ok(said.includes('DatabaseLost'))
})

test('a recovery that the spec asks for brings it back, and is not done twice by itself', async () => {
  const recovery = {
    ...{ destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } },
    serverName: 'post-db',
  }
  await client.mergePatch(MailServerResource, key, { spec: { database: { cnpg: { recovery } } } })
  await cluster.until('post', (found) => reasonOf(found, 'DatabaseReady') === 'RecoveryPending', 'RecoveryPending')
  const first = await loseDatabase()
  const restored = await cluster.until(
    'post',
    (found) => isReady(found) && found.status?.database?.recovery !== undefined,
    'the restored one',
  )
  assert.notEqual(restored.status?.database?.clusterUid, first)
  const second = await loseDatabase()
  assert.match(await told(second), /another spec\.database\.cnpg\.recovery than it was made by/)
  await running.quiet()
  assert.equal(await cluster.get(Cluster, 'post-db'), undefined)
  await accept(second)
  await ready()
  assert.notEqual(await uidOf(), second)
})

test('of a MailServer that is made again nothing is known, and nothing missed', async () => {
  await client.mergePatch(MailServerResource, key, { spec: { database: { cnpg: { recovery: null } } } })
  await ready()
  await client.delete(MailServerResource, key)
  await cluster.eventually(async () => (await cluster.get(MailServerResource, 'post')) === undefined, 'it to go')
  await loseDatabase()
  await cluster.mailServer('post')
  await ready()
})
