/**
 * Each dependency of a running MailServer fails and is mended: its condition says what and where, Stalled only what
 * nothing mends by itself, no Pod is rolled for it, and the end is Ready without a restart of the operator.
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { MailServerStatus } from '../api/mail-server-status.ts'
import type { BucketState } from '../bucket/bucket.ts'
import type { BucketWishes } from '../bucket/client.ts'
import { issueCertificate, makeAuthority } from '../certificates/authority.ts'
import type { KubeApi } from '../kube/client.ts'
import { findCondition } from '../kube/conditions.ts'
import { kubeErrorOf } from '../kube/errors.ts'
import { ConfigMap, Deployment, NetworkPolicy, Secret, Service } from '../kube/resources.ts'
import type { Resource } from '../kube/types.ts'
import { ownNamespaceRules, watchedNamespaceRules } from '../rbac.ts'
import { prepareOperator } from '../run.ts'
import { newestVersions } from './kinds.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const { Cluster } = newestVersions()
const Role: Resource = {
  ...{ group: 'rbac.authorization.k8s.io', version: 'v1' },
  ...{ kind: 'Role', plural: 'roles', namespaced: true },
}
const SelfSubjectAccessReview: Resource = {
  ...{ group: 'authorization.k8s.io', version: 'v1' },
  ...{ kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews', namespaced: false },
}
const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted } = await cluster.countingClient()
/** Kind that the operator may not write, where no RBAC says so. */
let forbidden: Resource | undefined
const fenced: KubeApi = {
  ...counted,
  async apply(resource, object, options) {
    if (resource.kind !== forbidden?.kind) return counted.apply(resource, object, options)
    const message = `${resource.plural} "${object.metadata.name}" is forbidden: User "mail-operator" cannot patch it`
    throw kubeErrorOf(`apply ${resource.plural}`, 403, { kind: 'Status', reason: 'Forbidden', message })
  },
}
const WELL: BucketState = { ok: true, message: 'bucket post answers' }
let bucketOf = (_: BucketWishes): BucketState => WELL
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  {
    client: fenced,
    ensureBucket: async (wishes) => bucketOf(wishes),
    verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const key = { namespace, name: 'post' }
/** Foreign Secrets and buckets send no event: a person asks for another look. */
const lookAt = () => {
  const annotations = { 'mail.openova.io/reconcile-at': String(Math.random()) }
  return client.mergePatch(MailServerResource, key, { metadata: { annotations } })
}
const secretOf = (name: string, text: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  data: Object.fromEntries(
    Object.entries(text).map(([field, value]) => [field, Buffer.from(value).toString('base64')]),
  ),
})
const put = (name: string, text: Record<string, string>) =>
  client.apply(Secret, secretOf(name, text), { fieldManager: 'somebody' }).then(lookAt)
const remove = (name: string) => client.delete(Secret, { namespace, name }).then(lookAt)
const tell = (resource: Resource, name: string, status: Record<string, unknown>) =>
  client.mergePatch(resource, { namespace, name }, { status }, { subresource: 'status' })
const say = (state: BucketState) => {
  bucketOf = () => state
  return lookAt()
}
/** As the condition says it. */
async function acceptLoss(of: (status: MailServerStatus) => string | undefined): Promise<void> {
  const { status } = await client.get<MailServer>(MailServerResource, key)
  const annotations = { 'mail.openova.io/accept-loss': status && of(status) }
  await client.mergePatch(MailServerResource, key, { metadata: { annotations } })
}
/** The load balancer's part. */
const address = (ingress: { ip: string }[] | null) => tell(Service, 'post', { loadBalancer: { ingress } })
/** Takes the right to write a kind from the operator, in its Role where RBAC counts. */
async function forbid(kind: Resource | undefined): Promise<void> {
  if (cluster.local) forbidden = kind
  else {
    const rules = [...watchedNamespaceRules, ...ownNamespaceRules].map((rule) =>
      kind && rule.resources.includes(kind.plural) ? { ...rule, verbs: ['get', 'list', 'watch'] } : rule,
    )
    await client.mergePatch(Role, { namespace, name: 'mail-operator' }, { rules })
    await cluster.eventually(async () => (await mayPatch(NetworkPolicy)) !== (kind === NetworkPolicy), 'RBAC to follow')
  }
  await lookAt()
}
async function mayPatch({ group, plural }: Resource): Promise<boolean> {
  const { kind } = SelfSubjectAccessReview
  const spec = { resourceAttributes: { namespace, verb: 'patch', group, resource: plural } }
  const review = { apiVersion: 'authorization.k8s.io/v1', kind, metadata: { name: '' }, spec }
  const { status } = await counted.create(SelfSubjectAccessReview, review)
  return (status as { allowed: boolean }).allowed
}
const refused = (reason: 'AccessDenied' | 'EndpointUnreachable' | 'BucketNotOurs' | 'BucketLost'): BucketState => ({
  ok: false,
  reason,
  code: reason,
  message: `bucket post: ${reason}`,
})
const now = new Date()
const authority = await makeAuthority('issuer', now)
const pairAt = async (date: Date) => {
  const issued = await issueCertificate(authority, ['mail.example.org'], date)
  return { 'tls.crt': issued.certificate, 'tls.key': issued.privateKey }
}
const certificate = await pairAt(now)
const ended = await pairAt(new Date('2001-01-01T00:00:00Z'))
const login = { username: 'a', password: 'b' }
const credentials = { accessKey: 'a', secretKey: 'b' }
/** As it was: another one would be rolled out. */
const uri = { uri: `postgresql://app:secret@post-db-rw.${namespace}:5432/app` }

test('a MailServer that is well', async () => {
  await client.create(Secret, secretOf('s3', credentials))
  await client.create(Secret, secretOf('given-tls', certificate))
  await client.create(Secret, secretOf('s3-ca', { 'ca.crt': authority.certificate }))
  await client.create(Secret, secretOf('relay', login))
  const s3 = {
    ...{ endpoint: 'http://127.0.0.1:9', bucket: 'post' },
    ...{ credentialsSecretRef: { name: 's3' }, caSecretRef: { name: 's3-ca' } },
  }
  await cluster.mailServer('post', {
    storage: { s3 },
    tls: { secretName: 'given-tls' },
    outbound: { relay: { host: 'smtp.relay.example', credentialsSecretRef: { name: 'relay' } } },
    service: { loadBalancerClass: 'example.org/absent' },
  })
  await cluster.until('post', (found) => reasonOf(found, 'NetworkReady') === 'AddressPending', 'no address yet')
  await address([{ ip: '203.0.113.7' }])
  await cluster.until('post', isReady, 'post to be Ready')
  await cluster.toldAccount('post')
  await cluster.until(
    'post',
    ({ status }) => status?.database?.clusterUid !== undefined,
    'its database to be remembered',
  )
})

interface Failure {
  what: string
  fail: () => Promise<unknown>
  type: string
  reason: string
  message: RegExp
  /** Reason of Stalled. */
  stalled?: string
  mend: () => Promise<unknown>
}
const failures: Failure[] = [
  {
    what: 'a database without an instance that is ready',
    fail: () => tell(Cluster, 'post-db', { readyInstances: 0, phase: 'Failing over' }),
    type: 'DatabaseReady',
    reason: 'Provisioning',
    message: /Cluster post-db: Failing over/,
    mend: () => tell(Cluster, 'post-db', { readyInstances: 3, phase: 'Cluster in healthy state' }),
  },
  {
    what: 'a database that CloudNativePG has given up',
    fail: () => tell(Cluster, 'post-db', { phase: 'Cluster is unrecoverable and needs manual intervention' }),
    type: 'DatabaseReady',
    reason: 'Unrecoverable',
    message: /Cluster post-db/,
    stalled: 'Unrecoverable',
    mend: () => tell(Cluster, 'post-db', { phase: 'Cluster in healthy state' }),
  },
  {
    what: 'a database’s Secret that is lost',
    fail: () => remove('post-db-app'),
    type: 'DatabaseReady',
    reason: 'SecretMissing',
    message: /Secret post-db-app/,
    mend: () => put('post-db-app', uri),
  },
  {
    what: 'a database’s Secret with bad content',
    fail: () => put('post-db-app', { uri: '' }),
    type: 'DatabaseReady',
    reason: 'SecretMissing',
    message: /Secret post-db-app with key uri/,
    mend: () => put('post-db-app', uri),
  },
  ...(['AccessDenied', 'EndpointUnreachable', 'BucketNotOurs'] as const).map(
    (reason): Failure => ({
      what: `a bucket with ${reason}`,
      fail: () => say(refused(reason)),
      type: 'StorageReady',
      reason,
      message: /bucket post/,
      mend: () => say({ ok: true, message: 'bucket post answers' }),
    }),
  ),
  {
    what: 'a certificate’s Secret that is lost',
    fail: () => remove('given-tls'),
    type: 'CertificateReady',
    reason: 'SecretMissing',
    message: /Secret given-tls \(spec.tls.secretName\)/,
    mend: () => put('given-tls', certificate),
  },
  {
    what: 'a certificate’s Secret with bad content',
    fail: () => put('given-tls', { ...certificate, 'tls.crt': 'no certificate' }),
    type: 'CertificateReady',
    reason: 'SecretUnusable',
    message: /Secret given-tls/,
    mend: () => put('given-tls', certificate),
  },
  {
    what: 'a certificate that has ended',
    fail: () => put('given-tls', ended),
    type: 'CertificateReady',
    reason: 'Expired',
    message: /Secret given-tls/,
    mend: () => put('given-tls', certificate),
  },
  {
    what: 'a bucket’s Secret that is lost',
    fail: () => remove('s3'),
    type: 'StorageReady',
    reason: 'SecretMissing',
    message: /Secret s3 \(spec.storage.s3.credentialsSecretRef\)/,
    mend: () => put('s3', credentials),
  },
  {
    what: 'a database that is lost for good',
    // Its Secret goes with it: elsewhere the garbage collector sees to that.
    fail: () => client.delete(Cluster, { namespace, name: 'post-db' }).then(() => remove('post-db-app')),
    type: 'DatabaseReady',
    reason: 'DatabaseLost',
    message:
      /^Cluster post-db, which held the mail, is gone\. .*: annotate mail\.openova\.io\/accept-loss=[0-9a-f-]{36}$/,
    stalled: 'DatabaseLost',
    async mend() {
      assert.equal(await cluster.get(Cluster, 'post-db'), undefined, 'an empty one would refuse all mail')
      await acceptLoss(({ database }) => database?.clusterUid)
    },
  },
  {
    what: 'a bucket that is lost for good',
    fail: () => say(refused('BucketLost')),
    type: 'StorageReady',
    reason: 'BucketLost',
    message: /^bucket post: BucketLost\. .*: annotate mail\.openova\.io\/accept-loss=\d{4}-\d\d-\d\dT[\d:]+Z$/,
    stalled: 'BucketLost',
    async mend() {
      bucketOf = ({ holdsMail }) => (holdsMail ? refused('BucketLost') : WELL)
      await acceptLoss(({ storage }) => storage?.since)
      await cluster.until('post', (found) => reasonOf(found, 'StorageReady') === 'BucketReady', 'another bucket')
      bucketOf = () => WELL
    },
  },
  {
    what: 'a bucket’s Secret without one of its keys',
    fail: () => put('s3', { accessKey: 'a' }),
    type: 'StorageReady',
    reason: 'SecretKeyMissing',
    message: /Secret s3 has no key secretKey/,
    mend: () => put('s3', credentials),
  },
  {
    what: 'a bucket’s CA that is lost',
    fail: () => remove('s3-ca'),
    type: 'StorageReady',
    reason: 'SecretMissing',
    message: /Secret s3-ca with key ca.crt does not exist/,
    mend: () => put('s3-ca', { 'ca.crt': authority.certificate }),
  },
  {
    what: 'a load balancer that has lost its address',
    fail: () => address(null),
    type: 'NetworkReady',
    reason: 'AddressPending',
    message: /Service post has no load balancer address yet/,
    mend: () => address([{ ip: '203.0.113.7' }]),
  },
  {
    what: 'a right that is taken away',
    fail: () => forbid(NetworkPolicy).then(() => client.delete(NetworkPolicy, key)),
    type: 'Ready',
    reason: 'ApplyForbidden',
    message: /^NetworkPolicy\/post: apply networkpolicies.*: 403 Forbidden: .*cannot patch/,
    stalled: 'ApplyForbidden',
    async mend() {
      await forbid(undefined)
      await cluster.eventually(() => cluster.get(NetworkPolicy, 'post'), 'the NetworkPolicy to be back')
    },
  },
  {
    what: 'an object of ours that somebody made immutable',
    async fail() {
      await client.mergePatch(ConfigMap, { namespace, name: 'post-config' }, { immutable: true })
      await client.mergePatch(MailServerResource, key, { spec: { logLevel: 'debug' } })
    },
    type: 'Ready',
    reason: 'ApplyRefused',
    message: /^ConfigMap\/post-config: apply configmaps .*422 Invalid: .*immutable/,
    stalled: 'ApplyRefused',
    mend: () => client.delete(ConfigMap, { namespace, name: 'post-config' }),
  },
  {
    what: 'a load balancer class that another Service would be needed for',
    fail: () => client.mergePatch(MailServerResource, key, { spec: { service: { loadBalancerClass: 'x/absent' } } }),
    type: 'Ready',
    reason: 'ApplyRefused',
    message: /^Service\/post: apply services .*422 Invalid: .*spec.loadBalancerClass.*may not change once set/,
    stalled: 'ApplyRefused',
    async mend() {
      await client.delete(Service, key)
      await cluster.until('post', (found) => reasonOf(found, 'NetworkReady') === 'AddressPending', 'another Service')
      await address([{ ip: '203.0.113.7' }])
    },
  },
]

for (const { what, fail, type, reason, message, stalled, mend } of failures) {
  test(`${what} is told, and mended`, async () => {
    const before = await client.get(Deployment, key)
    await fail()
    const seen = await cluster.until('post', (found) => reasonOf(found, type) === reason, `${type} ${reason}`)
    const condition = findCondition(seen.status?.conditions, type)
    assert.equal(condition?.status, 'False')
    assert.match(condition?.message ?? '', message)
    assert.equal(reasonOf(seen, 'Ready'), reason)
    assert.equal(reasonOf(seen, 'Stalled'), stalled)
    await mend()
    const well = await cluster.until('post', isReady, 'post to be Ready again')
    assert.equal(reasonOf(well, 'Stalled'), undefined)
    const { metadata } = await client.get(Deployment, key)
    assert.deepEqual([metadata.uid, metadata.generation], [before.metadata.uid, before.metadata.generation])
  })
}

for (const { what, fail, type, reason, mend } of failures) {
  if (type === 'NetworkReady' || reason === 'ApplyRefused') continue // nothing that Pods are made of
  test(`${what}: a Deployment that is lost meanwhile is made again at once`, async () => {
    const { metadata } = await client.get(Deployment, key)
    await fail()
    await cluster.until('post', (found) => reasonOf(found, type) === reason, `${type} ${reason}`)
    await client.delete(Deployment, key)
    await cluster.eventually(async () => {
      const uid = (await cluster.get(Deployment, 'post'))?.metadata.uid
      return uid !== undefined && uid !== metadata.uid
    }, 'another Deployment')
    await mend()
    await cluster.until('post', isReady, 'post to be Ready again')
  })
}

test('a new MailServer starts with a certificate that has ended, and not without one', async () => {
  const tls = { secretName: 'late-tls' }
  await cluster.mailServer('late', { tls })
  await cluster.until('late', (found) => reasonOf(found, 'EngineAvailable') === 'WaitingForDependencies', 'it to wait')
  assert.equal(await cluster.get(Deployment, 'late'), undefined)
  await client.create(Secret, secretOf(tls.secretName, ended))
  await client.mergePatch(
    MailServerResource,
    { namespace, name: 'late' },
    { metadata: { annotations: { 'mail.openova.io/reconcile-at': '1' } } },
  )
  await cluster.eventually(() => cluster.get(Deployment, 'late'), 'its Deployment')
  await client.delete(MailServerResource, { namespace, name: 'late' })
})

test('a relay’s Secret that is lost is told while the Pods that run go on', async () => {
  const message = ({ status }: MailServer) => findCondition(status?.conditions, 'EngineAvailable')?.message ?? ''
  await remove('relay')
  const seen = await cluster.until(
    'post',
    (found) => message(found).includes('Secret relay'),
    'the Secret to be missed',
  )
  assert.match(message(seen), /Secret relay \(spec.outbound.relay.credentialsSecretRef\) does not exist/)
  assert.ok(isReady(seen))
  await put('relay', login)
  await cluster.until('post', (found) => !message(found).includes('Secret relay'), 'the Secret to be seen')
})

test('a Deployment of ours that cannot become what is wanted is named, and taken up once it is gone', async () => {
  const labels = { app: 'old' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'old' }] } }
  await client.create(Deployment, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'stuck', namespace, labels: { [SERVER_LABEL]: 'stuck' } },
    spec: { replicas: 0, selector: { matchLabels: labels }, template },
  })
  await cluster.mailServer('stuck')
  const seen = await cluster.until('stuck', (found) => reasonOf(found, 'Stalled') === 'ApplyRefused', 'ApplyRefused')
  assert.equal(reasonOf(seen, 'Ready'), 'ApplyRefused')
  assert.match(
    findCondition(seen.status?.conditions, 'Stalled')?.message ?? '',
    /^Deployment\/stuck: apply deployments .*422 Invalid: .*spec.selector.*immutable/,
  )
  await client.delete(Deployment, { namespace, name: 'stuck' })
  const well = await cluster.until('stuck', isReady, 'stuck to be Ready')
  assert.equal(reasonOf(well, 'Stalled'), undefined)
})

test('a rollout that Kubernetes has given up is Stalled, and mended', { skip: !cluster.local }, async () => {
  const progressing = (status: 'True' | 'False', reason: string) => ({
    conditions: [{ type: 'Progressing', status, reason, message: reason }],
  })
  await tell(Deployment, 'post', { ...progressing('False', 'ProgressDeadlineExceeded'), availableReplicas: 0 })
  const seen = await cluster.until('post', (found) => reasonOf(found, 'Stalled') !== undefined, 'Stalled')
  assert.equal(reasonOf(seen, 'EngineAvailable'), 'ProgressDeadlineExceeded')
  assert.match(
    findCondition(seen.status?.conditions, 'Stalled')?.message ?? '',
    /Deployment post: .* 0 available; ProgressDeadlineExceeded/,
  )
  await tell(Deployment, 'post', { ...progressing('True', 'NewReplicaSetAvailable'), availableReplicas: 2 })
  const well = await cluster.until('post', isReady, 'post to be Ready again')
  assert.equal(reasonOf(well, 'Stalled'), undefined)
})
