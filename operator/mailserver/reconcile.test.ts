/** The loop against a Kubernetes API: the local one, or a real one (KUBECONFIG_UNDER_TEST). */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { APPLIED_HASH, MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { Emptied } from '../bucket/emptying.ts'
import { issueCertificate, makeAuthority } from '../certificates/authority.ts'
import { findCondition } from '../kube/conditions.ts'
import { ConfigMap, Deployment, Event, NetworkPolicy, PodDisruptionBudget, Secret, Service } from '../kube/resources.ts'
import type { KubeObject, Resource } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const buckets = new Map<
  string,
  { ok: true; message: string } | { ok: false; reason: 'AccessDenied'; code: string; message: string }
>()

const unreachable = new Set<string>()
const emptied: string[] = []
/** What the next rounds of emptying a bucket come to; without more, it is removed. */
const outcomes = new Map<string, Emptied[]>()
/** How far the operator's clock is ahead. */
let later = 0

/** While true, what is written is answered once the operator's watches have told it. */
let inStep = false

async function startOperator() {
  const { client: counted, writes, reads, quiet, heard } = await cluster.countingClient()
  const told = async <T>(resource: Resource, write: Promise<T>): Promise<T> => {
    const answer = await write
    if (inStep) await heard(resource)
    return answer
  }
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1.2.3', identity: 'test', resyncMs: 600_000 },
    {
      client: {
        ...counted,
        create: (resource, object) => told(resource, counted.create(resource, object)),
        apply: (resource, object, options) => told(resource, counted.apply(resource, object, options)),
      },
      ensureBucket: async ({ bucket }) => buckets.get(bucket) ?? { ok: true, message: `bucket ${bucket} answers` },
      now: () => new Date(Date.now() + later),
      emptyBucket: async ({ bucket }) => {
        if (unreachable.has(bucket)) throw new Error('connect ECONNREFUSED')
        emptied.push(bucket)
        return outcomes.get(bucket)?.shift() ?? { outcome: 'removed' }
      },
      verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
    },
  )
  await operator.lead()
  return { operator, writes, reads, quiet: () => quiet(operator) }
}

let running = await startOperator()
after(() => running.operator[Symbol.asyncDispose]())

/** The writes about one server's objects. */
const writesOf = (server: string) =>
  running.writes.filter((write) => write.split(' ')[1] !== undefined && write.includes(` ${server}`))

test('a MailServer becomes all its objects and Ready, within 60 requests', async () => {
  // Whoever has not heard of its own writes yet does things twice: how many depends on the machine.
  inStep = true
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
  inStep = false
  const requests = running.writes.length - from.writes + (running.reads.length - from.reads)
  assert.ok(requests <= 60, `${requests} requests:\n${[...running.writes, ...running.reads].join('\n')}`)
})

test('a settled MailServer causes no request, whatever it is reconciled for', async () => {
  await cluster.until('first', isReady, 'first to be Ready')
  await running.quiet()
  const [written, read] = [running.writes.length, running.reads.length]
  const [controller] = running.operator.controllers
  for (let round = 0; round < 5; round++) {
    controller?.queue.add({ namespace, name: 'first' })
    await running.quiet()
  }
  assert.deepEqual([...running.writes.slice(written), ...running.reads.slice(read)], [])
})

test('an operator that starts anew finds everything in place and writes nothing', async () => {
  const before = await cluster.until('first', isReady, 'first to be Ready')
  await running.operator[Symbol.asyncDispose]()
  running = await startOperator()
  await running.quiet()
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

  await running.quiet()
  const before = running.writes.length
  look()
  await running.quiet()
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
  await running.quiet()
  assert.equal(await cluster.get(Service, 'second-http'), undefined)

  // What is not applied is not claimed: kstatus says InProgress, Argo CD Suspended, as of Flux's suspended kinds.
  const { generation } = (await client.get(MailServerResource, { namespace, name: 'second' })).metadata
  await client.mergePatch(MailServerResource, { namespace, name: 'second' }, { spec: { replicas: 3 } })
  const told = new RegExp(`generation ${Number(generation) + 1} of the spec waits`)
  const paused = await cluster.until(
    'second',
    (found) => told.test(findCondition(found.status?.conditions, 'Ready')?.message ?? ''),
    'the waiting spec to be told',
  )
  assert.equal(paused.status?.observedGeneration, generation)
  assert.ok(paused.status?.conditions?.every(({ observedGeneration }) => observedGeneration === generation))
  const { spec } = await client.get(Deployment, { namespace, name: 'second' })
  assert.equal((spec as { replicas?: number }).replicas, 2)
  await client.mergePatch(
    MailServerResource,
    { namespace, name: 'second' },
    { metadata: { annotations: { 'mail.openova.io/paused': null } } },
  )
  await cluster.eventually(() => cluster.get(Service, 'second-http'), 'the Service after the pause')
  const resumed = await cluster.until('second', (found) => isReady(found) && found.status?.replicas === 3, 'three')
  assert.equal(reasonOf(resumed, 'Ready'), 'Running')
  await client.mergePatch(MailServerResource, { namespace, name: 'second' }, { spec: { replicas: 0 } })
  const none = await cluster.until('second', (found) => reasonOf(found, 'Ready') === 'ScaledToZero', 'scaled to zero')
  assert.match(findCondition(none.status?.conditions, 'Ready')?.message ?? '', /no engine runs/)
  await client.mergePatch(MailServerResource, { namespace, name: 'second' }, { spec: { replicas: 2 } })
  await cluster.until('second', (found) => isReady(found) && found.status?.readyReplicas === 2, 'two again')
})

test('what the schema cannot see is Stalled, and mended by mending the spec', async () => {
  await client.mergePatch(
    Secret,
    { namespace, name: 'second-dkim-second.example.org-default' },
    { data: { 'private.pem': Buffer.from('no key').toString('base64') } },
  )
  const stalled = await cluster.until('second', (found) => reasonOf(found, 'Stalled') === 'KeyUnusable', 'Stalled')
  assert.match(
    findCondition(stalled.status?.conditions, 'Stalled')?.message ?? '',
    /second-dkim-second\.example\.org-default/,
  )
  await client.delete(Secret, { namespace, name: 'second-dkim-second.example.org-default' })
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
  await running.quiet()
  assert.ok((await client.get(MailServerResource, key)).metadata.finalizers?.length)
  await client.mergePatch(MailServerResource, key, {
    metadata: { annotations: { 'mail.openova.io/skip-cleanup': 'true' } },
  })
  await gone('fifth')
  assert.deepEqual(emptied, ['fourth'])
})

test('a bucket is emptied only when the engines are gone, in rounds, and what became of it is told', async () => {
  const key = { namespace, name: 'seventh' }
  const s3 = { endpoint: 'http://127.0.0.1:9', bucket: 'seventh', credentialsSecretRef: { name: 's3' } }
  await cluster.mailServer('seventh', { deletionPolicy: 'Delete', storage: { s3 } })
  await cluster.until('seventh', isReady, 'seventh to be Ready')
  const engine = await client.get(Deployment, key)
  const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'seventh', uid: engine.metadata.uid ?? '' }
  // Plays a Pod that takes its time to end: what a Deployment owns holds it up.
  await client.create(ConfigMap, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'seventh-pod',
      namespace,
      finalizers: ['example.org/ending'],
      ownerReferences: [{ ...owner, blockOwnerDeletion: true }],
    },
  })
  outcomes.set('seventh', [
    { outcome: 'unfinished', removed: 1000 },
    { outcome: 'emptied', why: 'other objects are in it' },
  ])
  await client.delete(MailServerResource, key)
  await cluster.eventually(
    async () => (await cluster.get(Deployment, 'seventh'))?.metadata.deletionTimestamp,
    'the engines to be told to end',
  )
  await running.quiet()
  assert.ok(!emptied.includes('seventh'), 'they may still write')
  await client.mergePatch(ConfigMap, { namespace, name: 'seventh-pod' }, { metadata: { finalizers: null } })
  await cluster.eventually(async () => (await cluster.get(MailServerResource, 'seventh')) === undefined, 'it to go')
  assert.equal(emptied.filter((bucket) => bucket === 'seventh').length, 2)
  const told = await cluster.eventually(async () => {
    const { items } = await client.list<KubeObject>(Event, { namespace })
    const about = items.filter(({ regarding }) => (regarding as { name?: string }).name === 'seventh')
    return about.find(({ reason }) => reason === 'BucketEmptied')
  }, 'the Event')
  assert.equal(told.note, 'What was in bucket seventh is removed; the bucket stays: other objects are in it')
})

test('engines that do not end hold up the bucket for so long only', async () => {
  const key = { namespace, name: 'eighth' }
  const s3 = { endpoint: 'http://127.0.0.1:9', bucket: 'eighth', credentialsSecretRef: { name: 's3' } }
  await cluster.mailServer('eighth', { deletionPolicy: 'Delete', storage: { s3 } })
  await cluster.until('eighth', isReady, 'eighth to be Ready')
  await client.mergePatch(Deployment, key, { metadata: { finalizers: ['example.org/lost-node'] } })
  await client.delete(MailServerResource, key)
  await cluster.eventually(
    async () => (await cluster.get(Deployment, 'eighth'))?.metadata.deletionTimestamp,
    'the engines to be told to end',
  )
  assert.ok(!emptied.includes('eighth'))
  later += 6 * 60_000
  await client.mergePatch(MailServerResource, key, {
    metadata: { annotations: { 'mail.openova.io/reconcile-at': '1' } },
  })
  await cluster.eventually(async () => (await cluster.get(MailServerResource, 'eighth')) === undefined, 'it to go')
  assert.ok(emptied.includes('eighth'))
  await client.mergePatch(Deployment, key, { metadata: { finalizers: null } })
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
  await running.quiet()
  assert.equal((await cluster.get(Secret, 'sixth-tls'))?.metadata.uid, before.metadata.uid)
})

const untilEvent = (name: string, wanted: string) =>
  cluster.eventually(async () => {
    const { items } = await client.list<KubeObject>(Event, { namespace })
    return items.find(
      ({ reason, regarding }) => reason === wanted && (regarding as { name?: string } | undefined)?.name === name,
    )
  }, `an Event ${wanted} on ${name}`)

test('a certificate of the user’s that lacks the host name is named where people look, and serves', async () => {
  const authority = await makeAuthority('CA', new Date())
  const store = async (host: string) => {
    const issued = await issueCertificate(authority, [host], new Date())
    const data = {
      'tls.crt': Buffer.from(issued.certificate).toString('base64'),
      'tls.key': Buffer.from(issued.privateKey).toString('base64'),
    }
    const metadata = { name: 'given', namespace }
    await cluster.apply({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/tls', data })
  }
  await store('mx.example.com')
  await cluster.mailServer('tenth', { tls: { secretName: 'given' } })
  const server = await cluster.until('tenth', isReady, 'tenth to be Ready')
  const ready = findCondition(server.status?.conditions, 'Ready')
  assert.equal(ready?.reason, 'NameMissing')
  assert.equal(ready?.message, 'CertificateReady: The certificate in Secret given is not for mail.tenth.example.org')
  await untilEvent('tenth', 'NameMissing')
  await store('mail.tenth.example.org')
  await client.mergePatch(
    MailServerResource,
    { namespace, name: 'tenth' },
    { metadata: { annotations: { 'mail.openova.io/reconcile-at': '1' } } },
  )
  await cluster.until('tenth', (found) => reasonOf(found, 'Ready') === 'Running', 'the right certificate')
})

test('a relay whose Secret is missing is named where people look, while the engines of before go on', async () => {
  const key = { namespace, name: 'eleventh' }
  await cluster.mailServer('eleventh')
  await cluster.until('eleventh', isReady, 'eleventh to be Ready')
  const relay = { host: 'relay.example.net', credentialsSecretRef: { name: 'relay' } }
  await client.mergePatch(MailServerResource, key, { spec: { outbound: { relay } } })
  const warned = (found: MailServer) => isReady(found) && reasonOf(found, 'Ready') === 'RelaySecretMissing'
  const server = await cluster.until('eleventh', warned, 'it to be told')
  assert.match(
    findCondition(server.status?.conditions, 'Ready')?.message ?? '',
    /^EngineAvailable: .*Secret relay \(spec\.outbound\.relay\.credentialsSecretRef\) does not exist/,
  )
  await untilEvent('eleventh', 'RelaySecretMissing')
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'relay', namespace } }
  await client.create(Secret, { ...secret, data: { username: 'YQ==' } })
  const lookAgain = (mark: string) =>
    client.mergePatch(MailServerResource, key, { metadata: { annotations: { 'mail.openova.io/reconcile-at': mark } } })
  await lookAgain('1')
  await untilEvent('eleventh', 'RelaySecretIncomplete')
  await client.mergePatch(Secret, { namespace, name: 'relay' }, { data: { password: 'Yg==' } })
  await lookAgain('2')
  await cluster.until('eleventh', (found) => reasonOf(found, 'Ready') === 'Running', 'the Secret to be seen')
})

test('a line of the spam rules with a mistake is named where people look, and keeps nothing else from being done', async () => {
  const key = { namespace, name: 'ninth' }
  await cluster.mailServer('ninth', { spam: { rules: ['# ours\nbody FINE /fine/\nboby WRONG /wrong/'] } })
  const server = await cluster.until('ninth', isReady, 'ninth to be Ready')
  assert.equal(reasonOf(server, 'Ready'), 'SpamRulesLeftOut')
  const { status, message } = findCondition(server.status?.conditions, 'SpamRulesReady') ?? {}
  assert.deepEqual([status, message], ['False', 'A line is left out: spec.spam.rules[0]:3: "boby" is not supported'])
  await untilEvent('ninth', 'SpamRulesLeftOut')
  const spam = { rules: ['# ours\nbody FINE /fine/\nbody WRONG /wrong/'] }
  await client.mergePatch(MailServerResource, key, { spec: { spam } })
  const well = await cluster.until('ninth', (found) => reasonOf(found, 'Ready') === 'Running', 'the mistake to be gone')
  assert.equal(reasonOf(well, 'SpamRulesReady'), 'Understood')
})
