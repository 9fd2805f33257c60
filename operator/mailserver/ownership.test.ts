/** Names that are taken: what somebody else made is not touched, and the MailServer says what stands in its way. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { APPLIED_HASH, MailServerResource, SERVER_LABEL } from '../api/group.ts'
import { findCondition } from '../kube/conditions.ts'
import { ConfigMap, Deployment, Secret, Service } from '../kube/resources.ts'
import type { KubeObject, ObjectMeta, Resource } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { belongsTo } from './ownership.ts'
import { ClusterResource as Cluster, isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const SERVER = { namespace: 'n', name: 'post', uid: 'ours' }
const owner = (uid: string) => [{ apiVersion: 'v1', kind: 'X', name: 'x', uid, controller: true }]
const annotations = { [APPLIED_HASH]: 'h' }
for (const [what, metadata, ours] of [
  ['with our label', { labels: { [SERVER_LABEL]: 'post' } }, true],
  ['of another MailServer', { labels: { [SERVER_LABEL]: 'post-two' }, annotations }, false],
  ['that nobody has marked', {}, false],
  ['of ours without its labels', { annotations, ownerReferences: owner('ours') }, true],
  ['of another owner without its labels', { annotations, ownerReferences: owner('theirs') }, false],
  ['retained, without its labels', { annotations }, true],
] as [string, Partial<ObjectMeta>, boolean][]) {
  test(`an object ${what} ${ours ? 'is' : 'is not'} ours`, () => {
    const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x', ...metadata } }
    assert.equal(belongsTo(SERVER, object), ours)
  })
}

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted, writes, reads } = await cluster.countingClient()
/** Of these MailServers the bucket was looked at, which makes it. */
const buckets = new Set<string>()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  {
    client: counted,
    ensureBucket: async ({ owner }) => {
      buckets.add(owner)
      return { ok: true, message: 'answers' }
    },
    verifyDns: async () => [],
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()
const credentials = { accessKey: 'eA==', secretKey: 'eA==' }
await client.create(Secret, {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's3', namespace },
  data: credentials,
})
const s3 = { endpoint: 'http://127.0.0.1:9', bucket: 'mail', credentialsSecretRef: { name: 's3' } }
/** Writes of objects of that MailServer, which has no other writes than those of its status. */
const writesFor = (name: string) =>
  writes.filter((write) => {
    const [, kind, object = ''] = write.split(' ')
    return kind !== 'MailServer/status' && (object === name || object.startsWith(`${name}-`))
  })
/** What is not labelled is not watched: a person asks for another look. */
const lookAt = (name: string) =>
  client.mergePatch(
    MailServerResource,
    { namespace, name },
    { metadata: { annotations: { 'mail.openova.io/reconcile-at': String(Math.random()) } } },
  )

const labels = { app: 'theirs' }
const podTemplate = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'theirs' }] } }
const strangers: [string, Resource, string, Record<string, unknown>][] = [
  ['admin', Secret, 'admin-admin', { data: { token: 'dGhlaXJz' } }],
  ['empty', Secret, 'empty-admin', { data: {} }],
  ['key', Secret, `key-dkim-${cluster.domainOf('key')}-default`, { data: { 'private.pem': 'dGhlaXJz' } }],
  ['config', ConfigMap, 'config-config', { data: { 'config.json': '{}' } }],
  ['service', Service, 'service', { spec: { selector: labels, ports: [{ port: 80 }] } }],
  ['data', Cluster, 'data-db', { spec: { instances: 1, storage: { size: '1Gi' } } }],
  ['url', Secret, 'url-db-credentials', { data: { url: 'dGhlaXJz' } }],
  ['deploy', Deployment, 'deploy', { spec: { replicas: 0, selector: { matchLabels: labels }, template: podTemplate } }],
]
for (const [name, resource, taken, content] of strangers) {
  test(`a ${resource.kind} of somebody else named ${taken} is left alone, and named`, async () => {
    const apiVersion = resource.group ? `${resource.group}/${resource.version}` : resource.version
    const theirs: KubeObject = { apiVersion, kind: resource.kind, metadata: { name: taken, namespace }, ...content }
    const before = await client.create(resource, theirs)
    await cluster.mailServer(name, { storage: { s3 } })
    const server = await cluster.until(name, (found) => reasonOf(found, 'Stalled') === 'NameTaken', 'NameTaken')
    assert.equal(reasonOf(server, 'Ready'), 'NameTaken')
    assert.match(
      findCondition(server.status?.conditions, 'Stalled')?.message ?? '',
      new RegExp(`^${resource.kind}/${taken} has a name that MailServer ${name} needs, and was not made for it`),
    )
    const { metadata, ...now } = await client.get(resource, { namespace, name: taken })
    assert.deepEqual(
      [metadata.uid, metadata.labels, metadata.ownerReferences],
      [before.metadata.uid, undefined, undefined],
    )
    for (const field of Object.keys(content)) assert.deepEqual(now[field], before[field], field)
    // Looked at again it is the same, and a server that cannot come to be has left nothing behind.
    const looks = reads.filter((read) => read === `find ${resource.kind} ${taken}`).length
    await lookAt(name)
    await cluster.eventually(
      async () => reads.filter((read) => read === `find ${resource.kind} ${taken}`).length > looks,
      'another look',
    )
    assert.deepEqual(writesFor(name), [])
    assert.equal(buckets.has(`${namespace}/${name}`), false)

    await client.delete(resource, { namespace, name: taken })
    await lookAt(name)
    const well = await cluster.until(name, isReady, `${name} to be Ready`)
    assert.equal(reasonOf(well, 'Stalled'), undefined)
    assert.ok(buckets.has(`${namespace}/${name}`))
  })
}

test('an object that is handed over by its label is taken up', async () => {
  const spec = { selector: labels, ports: [{ name: 'smtp', port: 25 }] }
  const metadata = { name: 'given', namespace, labels: { [SERVER_LABEL]: 'given' } }
  const made = await client.create(Service, { apiVersion: 'v1', kind: 'Service', metadata, spec })
  await cluster.mailServer('given')
  await cluster.until('given', isReady, 'given to be Ready')
  const now = await client.get(Service, { namespace, name: 'given' })
  assert.equal(now.metadata.uid, made.metadata.uid)
  assert.equal((now.spec as { selector: Record<string, string> }).selector['app.kubernetes.io/instance'], 'given')
})

test('of two MailServers that need the same name, the first keeps it', async () => {
  await cluster.mailServer('two')
  await cluster.until('two', isReady, 'two to be Ready')
  const before = await client.get(Service, { namespace, name: 'two-http' })
  await cluster.mailServer('two-http') // whose mail Service has that name
  const second = await cluster.until('two-http', (found) => reasonOf(found, 'Stalled') === 'NameTaken', 'NameTaken')
  assert.match(
    findCondition(second.status?.conditions, 'Stalled')?.message ?? '',
    /Service\/two-http .* of MailServer two:/,
  )
  const now = await client.get(Service, { namespace, name: 'two-http' })
  assert.deepEqual(now.spec, before.spec)
})

test('the Secret that was generated is the user’s once spec.tls.secretName is its name', async () => {
  await cluster.mailServer('own')
  await cluster.until('own', isReady, 'own to be Ready')
  const change = (tls: object | null) =>
    client.mergePatch(MailServerResource, { namespace, name: 'own' }, { spec: { tls } })
  const key = { namespace, name: 'own-tls' }
  const { data } = await client.get(Secret, key)
  await change({ secretName: key.name })
  await cluster.until('own', (found) => isReady(found) && reasonOf(found, 'CertificateReady') === 'Provided', 'it')
  const named = await client.get(Secret, key)
  assert.deepEqual([named.data, named.metadata.ownerReferences], [data, undefined])

  // Back again it is somebody's who has to say so: what is in it by then may be theirs.
  await change(null)
  await cluster.until('own', (found) => reasonOf(found, 'Stalled') === 'NameTaken', 'NameTaken')
  assert.deepEqual((await client.get(Secret, key)).data, data)
  await client.mergePatch(Secret, key, { metadata: { labels: { [SERVER_LABEL]: 'own' } } })
  await cluster.until('own', isReady, 'own to be Ready')

  await change({ secretName: key.name })
  await cluster.until('own', (found) => isReady(found) && reasonOf(found, 'CertificateReady') === 'Provided', 'it')
  await client.delete(MailServerResource, { namespace, name: 'own' })
  await cluster.eventually(async () => !(await cluster.get(Secret, 'own-admin')), 'own to be gone')
  assert.deepEqual((await client.get(Secret, key)).data, data)
})
