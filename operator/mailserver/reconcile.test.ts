/** The loop against a Kubernetes API: the local one, or a real one (KUBECONFIG_UNDER_TEST). */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { APPLIED_HASH, MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { findCondition } from '../kube/conditions.ts'
import { ConfigMap, Deployment, NetworkPolicy, PodDisruptionBudget, Secret, Service } from '../kube/resources.ts'
import { type Operator, prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const buckets = new Map<
  string,
  { ok: true; message: string } | { ok: false; reason: 'AccessDenied'; code: string; message: string }
>()

const unreachable = new Set<string>()
const emptied: string[] = []
/** How far the operator's clock is ahead. */
let later = 0

async function startOperator(): Promise<{ operator: Operator; writes: string[]; reads: string[] }> {
  const { client: counted, writes, reads } = await cluster.countingClient()
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1.2.3', identity: 'test', resyncMs: 600_000 },
    {
      client: counted,
      ensureBucket: async ({ bucket }) => buckets.get(bucket) ?? { ok: true, message: `bucket ${bucket} answers` },
      now: () => new Date(Date.now() + later),
      emptyBucket: async ({ bucket }) => {
        if (unreachable.has(bucket)) throw new Error('connect ECONNREFUSED')
        emptied.push(bucket)
      },
      verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
    },
  )
  await operator.lead()
  return { operator, writes, reads }
}

let running = await startOperator()
after(() => running.operator[Symbol.asyncDispose]())

/** The writes about one server's objects. */
const writesOf = (server: string) =>
  running.writes.filter((write) => write.split(' ')[1] !== undefined && write.includes(` ${server}`))

test('a MailServer becomes all its objects and Ready, within 60 requests', async () => {
  const from = { writes: running.writes.length, reads: running.reads.length }
  await cluster.mailServer('first')
  const server = await cluster.until('first', isReady, 'first to be Ready')
  for (const [resource, names] of [
    [
      Secret,
      [
        'first-admin',
        'first-tls',
        'first-tls-ca',
        'first-dkim',
        'first-dkim-example.org-default',
        'first-dkim-example.org-ed25519',
        'first-db-credentials',
      ],
    ],
    [ConfigMap, ['first-config']],
    [Service, ['first', 'first-http']],
    [Deployment, ['first']],
    [PodDisruptionBudget, ['first']],
    [NetworkPolicy, ['first']],
  ] as const) {
    for (const name of names) assert.ok(await cluster.get(resource, name), `${resource.kind} ${name}`)
  }
  const { status } = server
  assert.equal(status?.replicas, 2)
  assert.equal(status?.readyReplicas, 2)
  assert.equal(status?.selector, 'app.kubernetes.io/name=mail-engine,app.kubernetes.io/instance=first')
  assert.equal(status?.image, 'engine:1.2.3')
  assert.equal(status?.version, '1.2.3')
  assert.deepEqual(status?.addresses, ['203.0.113.7'])
  assert.deepEqual(
    status?.conditions?.map(({ type, status: value }) => `${type}=${value}`),
    [
      'Ready=True',
      'CertificateReady=True',
      'DKIMReady=True',
      'DNSReady=True',
      'DatabaseReady=True',
      'EngineAvailable=True',
      'NetworkReady=True',
      'StorageReady=True',
    ],
  )
  const values = status?.dns?.records?.map(({ type, name, value }) => `${name} ${type} ${value}`) ?? []
  assert.ok(values.includes('example.org MX 10 mail.example.org.'), values.join('\n'))
  assert.ok(values.includes('example.org TXT v=spf1 mx ip4:203.0.113.7 -all'), values.join('\n'))
  const requests = running.writes.length - from.writes + (running.reads.length - from.reads)
  assert.ok(requests <= 60, `${requests} requests:\n${[...running.writes, ...running.reads].join('\n')}`)
})

test('a settled MailServer causes no write, whatever it is reconciled for', async () => {
  await cluster.until('first', isReady, 'first to be Ready')
  await sleep(300)
  const before = running.writes.length
  const [controller] = running.operator.controllers
  for (let round = 0; round < 5; round++) {
    controller?.queue.add({ namespace, name: 'first' })
    await sleep(50)
  }
  assert.deepEqual(running.writes.slice(before), [])
})

test('an operator that starts anew finds everything in place and writes nothing', async () => {
  const before = await cluster.until('first', isReady, 'first to be Ready')
  await running.operator[Symbol.asyncDispose]()
  running = await startOperator()
  await sleep(1_000)
  assert.deepEqual(writesOf('first'), [])
  const now = await client.get(MailServerResource, { namespace, name: 'first' })
  assert.equal(now.metadata.resourceVersion, before.metadata.resourceVersion)
})

test('a Service that is deleted by hand comes back', async () => {
  const lost = await client.get(Service, { namespace, name: 'first-http' })
  await client.delete(Service, { namespace, name: 'first-http' })
  await cluster.eventually(async () => {
    const found = await cluster.get(Service, 'first-http')
    return found && found.metadata.uid !== lost.metadata.uid
  }, 'Service first-http to come back')
})

test('a field that somebody changed is changed back', async () => {
  const patch = { spec: { strategy: { rollingUpdate: { maxSurge: 3 } } } }
  await client.mergePatch(Deployment, { namespace, name: 'first' }, patch, { fieldManager: 'somebody' })
  await cluster.eventually(async () => {
    const { spec } = (await client.get(Deployment, { namespace, name: 'first' })) as {
      spec?: { strategy?: { rollingUpdate?: { maxSurge?: number } } }
    }
    return spec?.strategy?.rollingUpdate?.maxSurge === 1
  }, 'maxSurge to be 1 again')
})

test('DKIM keys stay the same through everything', async () => {
  const key = { namespace, name: 'first-dkim-example.org-default' }
  const before = (await client.get(Secret, key)).data
  await client.mergePatch(Secret, key, { metadata: { labels: { 'mail.openova.io/server': null } } })
  // Out of the cache now: the operator must ask before it makes a new one.
  await cluster.eventually(
    async () => (await client.get(Secret, key)).metadata.labels?.['mail.openova.io/server'],
    'the label',
  )
  assert.deepEqual((await client.get(Secret, key)).data, before)
})

test('a changed spec changes what it has to: scaled to one, the budget is pruned', async () => {
  await client.mergePatch(MailServerResource, { namespace, name: 'first' }, { spec: { replicas: 1 } })
  await cluster.eventually(
    async () => (await cluster.get(PodDisruptionBudget, 'first')) === undefined,
    'the budget to go',
  )
  await cluster.until('first', (found) => isReady(found) && found.status?.readyReplicas === 1, 'one ready replica')
})

test('a new domain reaches the engine by configuration, without new Pods', async () => {
  const template = async () =>
    JSON.stringify(
      (
        await client.get<{ spec?: { template?: unknown } } & import('../kube/types.ts').KubeObject>(Deployment, {
          namespace,
          name: 'first',
        })
      ).spec?.template,
    )
  const before = await template()
  const domains = [{ name: 'example.org' }, { name: 'example.net' }]
  await client.mergePatch(MailServerResource, { namespace, name: 'first' }, { spec: { domains } })
  await cluster.eventually(
    async () => (await cluster.get(ConfigMap, 'first-config'))?.data?.['config.json']?.includes('example.net'),
    'the domain',
  )
  await cluster.until('first', isReady, 'first to be Ready again')
  assert.equal(await template(), before)
})

test('DKIM keys are rotated on request: published, then signing, then withdrawn', async () => {
  const keysOf = (found: MailServer) =>
    (found.status?.dkim?.keys ?? [])
      .filter(({ domain, algorithm }) => domain === 'example.org' && algorithm === 'rsa2048')
      .map(({ selector, state }) => `${selector.replace(/^\d{8}/, 'DATE')} ${state}`)
      .sort()
      .join(', ')
  const signing = async () => {
    const text = (await client.get(ConfigMap, { namespace, name: 'first-config' })).data?.['config.json'] ?? '{}'
    const config = JSON.parse(text) as { domains: { name: string; dkim: { selector: string }[] }[] }
    return config.domains.find(({ name }) => name === 'example.org')?.dkim[0]?.selector
  }
  const look = () => running.operator.controllers[0]?.queue.add({ namespace, name: 'first' })
  /** Time passes, and with it the operator looks again. */
  const until = (keys: string) =>
    cluster.until(
      'first',
      (found) => {
        look()
        return keysOf(found) === keys
      },
      keys,
    )
  const annotations = { 'mail.openova.io/rotate-dkim': 'please' }
  await client.mergePatch(MailServerResource, { namespace, name: 'first' }, { metadata: { annotations } })
  const published = await until('DATE Publishing, default Active')
  assert.equal(published.status?.dkim?.rotationRequest, 'please')
  assert.ok(published.status?.dns?.records?.some(({ name }) => /^\d{8}\._domainkey\.example\.org$/.test(name)))
  assert.equal(await signing(), 'default')

  later = 2 * 3_600_000 // longer than the record's TTL
  await until('DATE Active, default Retiring')
  assert.match((await signing()) ?? '', /^\d{8}$/)

  later += 8 * 86_400_000
  const done = await until('DATE Active')
  await cluster.eventually(
    async () => (await cluster.get(Secret, 'first-dkim-example.org-default')) === undefined,
    'its Secret to go',
  )
  assert.equal(
    done.status?.dns?.records?.some(({ name }) => name === 'default._domainkey.example.org'),
    false,
  )

  await sleep(300)
  const before = running.writes.length
  look()
  await sleep(200)
  assert.deepEqual(running.writes.slice(before), [])
})

test('a missing credentials Secret is named, and found when it comes', async () => {
  buckets.set('second', {
    ok: false,
    reason: 'AccessDenied',
    code: 'AccessDenied',
    message: 'bucket second: AccessDenied',
  })
  const s3 = { endpoint: 'http://127.0.0.1:9', bucket: 'second', credentialsSecretRef: { name: 'second-s3' } }
  await cluster.mailServer('second', { storage: { s3 } })
  const waiting = await cluster.until(
    'second',
    (found) => reasonOf(found, 'StorageReady') === 'SecretMissing',
    'SecretMissing',
  )
  assert.match(findCondition(waiting.status?.conditions, 'StorageReady')?.message ?? '', /Secret second-s3 /)
  assert.equal(await cluster.get(Deployment, 'second'), undefined)

  const data = { accessKey: Buffer.from('a').toString('base64'), secretKey: Buffer.from('b').toString('base64') }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'second-s3', namespace }, data })
  // No watch tells of foreign Secrets; a reconcile brings the look forward.
  running.operator.controllers[0]?.queue.add({ namespace, name: 'second' })
  await cluster.until('second', (found) => reasonOf(found, 'StorageReady') === 'AccessDenied', 'AccessDenied')
  buckets.delete('second')
  const annotations = { 'mail.openova.io/reconcile-at': '1' }
  await client.mergePatch(MailServerResource, { namespace, name: 'second' }, { metadata: { annotations } })
  await cluster.until('second', isReady, 'second to be Ready')
})

test('a paused MailServer is looked at and not touched', async () => {
  await client.mergePatch(
    MailServerResource,
    { namespace, name: 'second' },
    { metadata: { annotations: { 'mail.openova.io/paused': 'true' } } },
  )
  await cluster.until('second', (found) => reasonOf(found, 'Ready') === 'Paused', 'Paused')
  await client.delete(Service, { namespace, name: 'second-http' })
  await sleep(300)
  assert.equal(await cluster.get(Service, 'second-http'), undefined)
  await client.mergePatch(
    MailServerResource,
    { namespace, name: 'second' },
    { metadata: { annotations: { 'mail.openova.io/paused': null } } },
  )
  await cluster.eventually(() => cluster.get(Service, 'second-http'), 'the Service after the pause')
})

test('what the schema cannot see is Stalled, and mended by mending the spec', async () => {
  await client.mergePatch(
    Secret,
    { namespace, name: 'second-dkim-example.org-default' },
    { data: { 'private.pem': Buffer.from('no key').toString('base64') } },
  )
  const stalled = await cluster.until('second', (found) => reasonOf(found, 'Stalled') === 'KeyUnusable', 'Stalled')
  assert.match(findCondition(stalled.status?.conditions, 'Stalled')?.message ?? '', /second-dkim-example.org-default/)
  await client.delete(Secret, { namespace, name: 'second-dkim-example.org-default' })
  const server = await cluster.until('second', isReady, 'second to be Ready again')
  assert.equal(reasonOf(server, 'Stalled'), undefined)
})

test('deleted with Retain, database and keys stay and the rest goes; made again, they are taken up', async () => {
  const listed = await client.list(Secret, { namespace, labelSelector: 'app.kubernetes.io/name=mail-dkim' })
  const name =
    listed.items.map(({ metadata }) => metadata.name).find((found) => /^first-dkim-example\.org-\d{8}$/.test(found)) ??
    ''
  const key = (await client.get(Secret, { namespace, name })).data
  await client.delete(MailServerResource, { namespace, name: 'first' })
  await cluster.eventually(async () => (await cluster.get(Deployment, 'first')) === undefined, 'the Deployment to go')
  await cluster.eventually(async () => (await cluster.get(Secret, 'first-admin')) === undefined, 'the token to go')
  assert.deepEqual((await cluster.get(Secret, name))?.data, key)
  const authority = (await client.get(Secret, { namespace, name: 'first-tls-ca' })).data
  await cluster.mailServer('first')
  await cluster.until('first', isReady, 'first to be Ready again')
  const again = await client.get(Secret, { namespace, name })
  assert.equal(await cluster.get(Secret, 'first-dkim-example.org-default'), undefined)
  assert.deepEqual(again.data, key)
  assert.deepEqual((await client.get(Secret, { namespace, name: 'first-tls-ca' })).data, authority)
  assert.ok(again.metadata.annotations?.[APPLIED_HASH])
})

const KEPT = ['third-dkim-example.org-default', 'third-tls-ca']

test('Retain, decided later, takes data out of the reach of the garbage collector', async () => {
  await cluster.mailServer('third', { deletionPolicy: 'Delete' })
  await cluster.until('third', isReady, 'third to be Ready')
  const owned = async (name: string) => (await cluster.get(Secret, name))?.metadata.ownerReferences !== undefined
  for (const name of KEPT) assert.ok(await owned(name), name)
  const decide = (deletionPolicy: string) =>
    client.mergePatch(MailServerResource, { namespace, name: 'third' }, { spec: { deletionPolicy } })
  await decide('Retain')
  for (const name of KEPT) await cluster.eventually(async () => !(await owned(name)), `${name} to be nobody's`)
  await decide('Delete')
  for (const name of KEPT) await cluster.eventually(() => owned(name), `${name} to be owned again`)
})

test('deleted with Delete, everything goes', async () => {
  await client.delete(MailServerResource, { namespace, name: 'third' })
  for (const name of [...KEPT, 'third-admin']) {
    await cluster.eventually(async () => (await cluster.get(Secret, name)) === undefined, `${name} to go`)
  }
})

test('deleted with Delete, the bucket is emptied first; one that cannot be reached lets go when told to', async () => {
  later = 0 // within the patience that a bucket is given
  const credentials = { accessKey: 'YQ==', secretKey: 'Yg==' }
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's3', namespace },
    data: credentials,
  })
  for (const name of ['fourth', 'fifth']) {
    const s3 = { endpoint: 'http://127.0.0.1:9', bucket: name, credentialsSecretRef: { name: 's3' } }
    await cluster.mailServer(name, { deletionPolicy: 'Delete', storage: { s3 } })
    await cluster.until(name, isReady, `${name} to be Ready`)
  }
  unreachable.add('fifth')
  const gone = (name: string) =>
    cluster.eventually(async () => (await cluster.get(MailServerResource, name)) === undefined, `${name} to go`)
  await client.delete(MailServerResource, { namespace, name: 'fourth' })
  await gone('fourth')
  assert.deepEqual(emptied, ['fourth'])

  const key = { namespace, name: 'fifth' }
  await client.delete(MailServerResource, key)
  await sleep(300)
  assert.ok((await client.get(MailServerResource, key)).metadata.finalizers?.length)
  await client.mergePatch(MailServerResource, key, {
    metadata: { annotations: { 'mail.openova.io/skip-cleanup': 'true' } },
  })
  await gone('fifth')
  assert.deepEqual(emptied, ['fourth'])
})

test('from our own certificate to one of an issuer the Secret stays in place', async () => {
  await cluster.mailServer('sixth')
  await cluster.until('sixth', isReady, 'sixth to be Ready')
  const before = await client.get(Secret, { namespace, name: 'sixth-tls' })
  const tls = { issuerRef: { name: 'letsencrypt' } }
  await client.mergePatch(MailServerResource, { namespace, name: 'sixth' }, { spec: { tls } })
  // Still good, so it is served until the issuer's own is there; without cert-manager that is said.
  await cluster.until(
    'sixth',
    (found) => ['CRDMissing', 'Issued'].includes(reasonOf(found, 'CertificateReady') ?? ''),
    'the issuer',
  )
  await sleep(200)
  assert.equal((await cluster.get(Secret, 'sixth-tls'))?.metadata.uid, before.metadata.uid)
})
