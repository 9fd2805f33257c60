/** What is said of each dependency, from what was observed. */

import assert from 'node:assert/strict'
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { parseMailServerSpec } from '../../api/mail-server.ts'
import type { MailServerSpecInput } from '../../api/mail-server-spec.ts'
import type { BucketState } from '../../bucket/bucket.ts'
import { issueCertificate, makeAuthority } from '../../certificates/authority.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import { judge } from '../conditions.ts'
import { databaseUrl } from '../database-url.ts'
import { idOf } from '../kinds.ts'
import { type Observed, s3Endpoint } from '../observe.ts'
import { MINIMAL } from '../testing/context.ts'
import { certificateStatement } from './certificate.ts'
import { databaseFacts, databaseStatement } from './database.ts'
import { dnsStatement, recordStates, tlsaWanted } from './dns.ts'
import { engineStatement, networkStatement, rolloutStatement, startHeldUpBy } from './engine.ts'
import { integrationStatements } from './integrations.ts'
import type { Statement } from './statement.ts'
import { storageStatement } from './storage.ts'

const NOW = new Date('2026-06-01T00:00:00Z')
const DAY = 86_400_000
const specOf = (more: Partial<MailServerSpecInput> = {}) => parseMailServerSpec({ ...MINIMAL, ...more })
const served = (kind: string) => ({ group: 'g', version: 'v1', kind, plural: 'p', namespaced: true })
const secret = (name: string, text: Record<string, string>) => ({ name, found: true as const, text })
const object = (kind: string, name: string, more: Partial<KubeObject> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, generation: 1 },
  ...more,
})

function seen(objects: KubeObject[] = [], more: Partial<Observed> = {}): Observed {
  const children = new Map(objects.map((one) => [idOf(one), one]))
  return {
    key: { namespace: 'n', name: 's' },
    children,
    served: { Cluster: served('Cluster') },
    held: {},
    secrets: {},
    addresses: [],
    webAddresses: [],
    certificates: [{ number: 1, names: ['mail.example.org'] }],
    ...more,
  }
}
const said = ({ status, reason }: Statement) => `${status} ${reason}`

const cluster = (status: Record<string, unknown>) => object('Cluster', 's-db', { status })
const healthy = {
  phase: 'Cluster in healthy state',
  readyInstances: 3,
  currentPrimary: 's-db-1',
  targetPrimary: 's-db-1',
  conditions: [{ type: 'Ready', status: 'True' }],
}
const withUri = { secrets: { database: secret('s-db-app', { uri: 'postgresql://x' }) } }
for (const [what, observed, want] of [
  ['no CloudNativePG', seen([], { served: {} }), 'False CRDMissing'],
  ['no Cluster yet', seen(), 'False Creating'],
  ['a Cluster that nobody has looked at', seen([cluster({})]), 'False Provisioning'],
  ['a Cluster that is set up', seen([cluster({ phase: 'Setting up primary' })]), 'False Provisioning'],
  ['a Cluster without its Secret', seen([cluster(healthy)]), 'False SecretMissing'],
  ['a healthy Cluster', seen([cluster(healthy)], withUri), 'True ClusterReady'],
  [
    'a stale Ready during a switchover',
    seen([cluster({ ...healthy, targetPrimary: 's-db-2' })], withUri),
    'False SwitchingOver',
  ],
  ['a Cluster that lacks an instance', seen([cluster({ ...healthy, readyInstances: 2 })], withUri), 'True Degraded'],
  [
    'a Cluster beyond repair',
    seen([cluster({ phase: 'Cluster is unrecoverable and needs manual intervention' })]),
    'False Unrecoverable',
  ],
] as [string, Observed, string][]) {
  test(`database: ${what}`, () => assert.equal(said(databaseStatement(specOf(), observed)), want))
}

test('database: the message names the object and CloudNativePG’s own words', () => {
  const { message } = databaseStatement(specOf(), seen([cluster({ phase: 'Failing over', phaseReason: 'node lost' })]))
  assert.equal(message, 'Cluster s-db: Failing over (node lost)')
})

const pooled = {
  served: { Cluster: served('Cluster'), Pooler: served('Pooler') },
  secrets: { database: secret('s-db-app', { uri: 'postgresql://app:p@s-db-rw.n:5432/app' }) },
}
const named = cluster({ ...healthy, certificates: { serverAltDNSNames: ['s-db-pooler.n'] } })
const slice = (name: string, ready: boolean[]) =>
  object('EndpointSlice', name, {
    metadata: { name, labels: { 'kubernetes.io/service-name': 's-db-pooler' } },
    endpoints: ready.map((one, index) => ({ conditions: { ready: one }, targetRef: { name: `pod-${index}` } })),
  })
const bouncers = (...ready: boolean[]) => slice('s-db-pooler-v4', ready)
const connected = (host: string) =>
  object('Secret', 's-db-credentials', {
    data: { url: Buffer.from(`postgresql://app:p@${host}:5432/app?sslmode=verify-full`).toString('base64') },
  })
const [direct, through] = [connected('s-db-rw.n'), connected('s-db-pooler.n')]
for (const [what, observed, want, host] of [
  ['CloudNativePG without the kind', seen([cluster(healthy)], withUri), 'True PoolerMissing', 'x'],
  ['a new server waits for it', seen([named, bouncers(false)], pooled), 'False PoolerStarting', undefined],
  [
    'a new server waits for its name in the certificate',
    seen([cluster(healthy), bouncers(true)], pooled),
    'False PoolerStarting',
    undefined,
  ],
  ['a new server with it', seen([named, bouncers(true, true)], pooled), 'True ClusterReady', 's-db-pooler.n'],
  ['a running server does not wait', seen([named, direct], pooled), 'True PoolerStarting', 's-db-rw.n'],
  [
    'a running server takes it up',
    seen([named, direct, bouncers(true)], pooled),
    'True PoolerDegraded',
    's-db-pooler.n',
  ],
  ['one that is lost', seen([named, through, bouncers(true, false)], pooled), 'True PoolerDegraded', 's-db-pooler.n'],
  [
    'one that is lost, in two address families',
    seen([named, through, bouncers(true, false), slice('s-db-pooler-v6', [true, false])], pooled),
    'True PoolerDegraded',
    's-db-pooler.n',
  ],
  [
    'all that are lost',
    seen([named, through, bouncers(false, false)], pooled),
    'False PoolerUnavailable',
    's-db-pooler.n',
  ],
  ['endpoints that cannot be seen', seen([named, through], pooled), 'False PoolerUnavailable', 's-db-pooler.n'],
] as [string, Observed, string, string | undefined][]) {
  test(`pooler: ${what}`, () => {
    const spec = specOf({ database: { cnpg: { pooler: {} } } })
    assert.equal(said(databaseStatement(spec, observed)), want)
    const url = databaseUrl(spec, observed)
    assert.equal(url && new URL(url).hostname, host)
  })
}

test('pooler: taken out of the spec, the engine is connected to the Cluster at once', () => {
  const url = databaseUrl(specOf(), seen([named, through, bouncers(true)], pooled))
  assert.equal(url, 'postgresql://app:p@s-db-rw.n:5432/app')
})

test('pooler: the message has CloudNativePG’s words', () => {
  const pooler = object('Pooler', 's-db-pooler', { status: { phase: 'failed', phaseReason: 'no such catalog' } })
  const { message } = databaseStatement(
    specOf({ database: { cnpg: { pooler: {} } } }),
    seen([named, through, pooler], pooled),
  )
  assert.equal(message, 'Pooler s-db-pooler: failed, 0 of 2 instances are ready (no such catalog)')
})

test('recovery: a Cluster that is there is not changed, and that is said', () => {
  const recovery = { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' }, serverName: 'old' }
  const statement = databaseStatement(specOf({ database: { cnpg: { recovery } } }), seen([cluster(healthy)], withUri))
  assert.deepEqual([said(statement), statement.terminal], ['False RecoveryPending', true])
  assert.match(statement.message, /Cluster s-db exists.*delete/)
})

for (const [what, database, want] of [
  ['no Secret', { name: 'pg', found: false as const }, 'False SecretMissing'],
  ['no key in it', secret('pg', {}), 'False SecretKeyMissing'],
  ['no URL in it', secret('pg', { url: 'mysql://x' }), 'False NotAPostgresUrl'],
  ['a URL', secret('pg', { url: 'postgres://x' }), 'True External'],
] as const) {
  test(`external database: ${what}`, () => {
    const spec = specOf({ database: { secretRef: { name: 'pg', key: 'url' } } })
    assert.equal(said(databaseStatement(spec, seen([], { secrets: { database } }))), want)
  })
}

const s3 = { bucket: 'mail', credentialsSecretRef: { name: 'minio' } }
const keys = { accessKey: 'a', secretKey: 'b', endpoint: 'http://m' }
const denied: BucketState = { ok: false, reason: 'AccessDenied', code: 'AccessDenied', message: 'no' }
for (const [what, given, bucket, want] of [
  ['no Secret', { name: 'minio', found: false as const }, undefined, 'False SecretMissing'],
  ['a key is missing', secret('minio', { accessKey: 'a', endpoint: 'http://m' }), undefined, 'False SecretKeyMissing'],
  ['no endpoint anywhere', secret('minio', { accessKey: 'a', secretKey: 'b' }), undefined, 'False SecretKeyMissing'],
  ['not looked at yet', secret('minio', keys), undefined, 'False Checking'],
  ['it answers', secret('minio', keys), { ok: true, message: 'answers' } as BucketState, 'True BucketReady'],
  ['it refuses', secret('minio', keys), denied, 'False AccessDenied'],
] as const) {
  test(`storage: ${what}`, () => {
    const observed = seen([], { secrets: { s3: given } })
    assert.equal(said(storageStatement(specOf({ storage: { s3 } }), observed, bucket, undefined)), want)
  })
}

test('storage: after a restart of the operator what was said stands until the next look', () => {
  const previous: Condition[] = [
    { type: 'StorageReady', status: 'True', reason: 'BucketReady', message: 'as before', lastTransitionTime: '' },
  ]
  const statement = storageStatement(
    specOf({ storage: { s3 } }),
    seen([], { secrets: { s3: secret('minio', keys) } }),
    undefined,
    previous,
  )
  assert.deepEqual([said(statement), statement.message], ['True BucketReady', 'as before'])
})

test('storage: an endpoint in the Secret that nothing can use is told, and what is configured stays', () => {
  const spec = specOf({ storage: { s3: { bucket: 'mail', credentialsSecretRef: { name: 'minio' } } } })
  const config = object('ConfigMap', 's-config', {
    data: { 'config.json': '{"storage":{"endpoint":"http://minio.storage:9000"}}' },
  })
  for (const endpoint of ['minio.storage:9000', 'http://minio/mail', 'https://:::', 's3://minio']) {
    const observed = seen([config], { secrets: { s3: secret('minio', { ...keys, endpoint }) } })
    const statement = storageStatement(spec, observed, { ok: true, message: 'answers' }, undefined)
    assert.deepEqual([endpoint, said(statement)], [endpoint, 'False EndpointUnusable'])
    assert.equal(s3Endpoint(spec, observed), 'http://minio.storage:9000')
  }
})

test('storage: without s3 it is in the database', () => {
  assert.equal(said(storageStatement(specOf(), seen(), undefined, undefined)), 'True InDatabase')
})

const authority = await makeAuthority('ca', NOW)
const pair = await issueCertificate(authority, ['mail.example.org'], NOW)
const tls = secret('given', { 'tls.crt': pair.certificate, 'tls.key': pair.privateKey })
for (const [what, hostname, given, now, want] of [
  ['no Secret', 'mail.example.org', { name: 'given', found: false as const }, NOW, 'False SecretMissing'],
  [
    'rubbish in it',
    'mail.example.org',
    secret('given', { 'tls.crt': 'x', 'tls.key': 'y' }),
    NOW,
    'False SecretUnusable',
  ],
  ['a good one', 'mail.example.org', tls, NOW, 'True Provided'],
  ['one for another name', 'mx.example.org', tls, NOW, 'True NameMissing'],
  ['one with 15 days left', 'mail.example.org', tls, new Date('2027-05-17'), 'True Provided'],
  ['one with 13 days left', 'mail.example.org', tls, new Date('2027-05-19'), 'True ExpiresSoon'],
  ['an old one', 'mail.example.org', tls, new Date('2028-01-01'), 'False Expired'],
] as const) {
  test(`given certificate: ${what}`, () => {
    const spec = specOf({ hostname, tls: { secretName: 'given' } })
    assert.equal(said(certificateStatement(spec, seen([], { secrets: { tls: given } }), undefined, now)), want)
  })
}

/** A certificate of so many days, of which some have passed. */
async function livingFor(days: number, passed: number) {
  const begin = new Date(+NOW - passed * DAY)
  // An authority that ends after those days bounds what it issues; its own is of ten years.
  const ending = await makeAuthority('short', new Date(+begin - (3650 - days) * DAY))
  const { certificate, privateKey } = await issueCertificate(ending, ['mail.example.org'], begin)
  return secret('s-tls', { 'tls.crt': certificate, 'tls.key': privateKey })
}

test('an end that comes near is noticed although nothing changes', () => {
  const spec = specOf({ tls: { secretName: 'given' } })
  const at = (now: Date) => {
    const statement = certificateStatement(spec, seen([], { secrets: { tls } }), undefined, now)
    return judge({ generation: 1, previous: undefined, statements: [statement], now }).lookAgainMs
  }
  assert.equal(at(NOW), DAY, 'once a day')
  const end = +NOW + 365 * DAY
  assert.equal(at(new Date(end - 14 * DAY - 3_600_000)), 3_600_000, 'when it becomes worth a warning')
  assert.equal(at(new Date(end - 60_000)), 60_000, 'when it ends')
})

test('after a changed host name the certificate of before is served, and said to be for another', async () => {
  const observed = seen([issuing], { ...certManager, secrets: { tls: await livingFor(90, 1) } })
  const moved = certificateStatement(specOf({ ...issuer, hostname: 'mx.example.org' }), observed, undefined, NOW)
  assert.equal(said(moved), 'True NameMissing')
  assert.match(moved.message, /is not for mx\.example\.org yet; Certificate s-tls: Issuing$/)
})

test('what keeps a certificate from being renewed is told', async () => {
  const observed = seen([issuing], { ...certManager, secrets: { tls: await livingFor(6, 5.5) } })
  const { message } = certificateStatement(specOf(issuer), observed, undefined, NOW)
  assert.match(
    message,
    /^The certificate in Secret s-tls ends 2026-06-01T12:00:00.000Z and is not renewed; Certificate s-tls: Issuing$/,
  )
})

const issuer = { tls: { issuerRef: { name: 'i' } } }
const certManager = { served: { Certificate: served('Certificate') } }
const issuing = object('Certificate', 's-tls', {
  status: { conditions: [{ type: 'Ready', status: 'False', reason: 'DoesNotExist', message: 'Issuing' }] },
})
for (const [what, observed, want] of [
  ['no cert-manager', seen([], { served: {} }), 'False CRDMissing'],
  [
    'not issued yet',
    seen([issuing], { ...certManager, secrets: { tls: { name: 's-tls', found: false } } }),
    'False Issuing',
  ],
  ['issued, and being renewed', seen([issuing], { ...certManager, secrets: { tls } }), 'True Issued'],
  [
    'issued for six days, at the fourth',
    seen([issuing], { ...certManager, secrets: { tls: await livingFor(6, 4) } }),
    'True Issued',
  ],
  [
    'issued for six days, in the last hours',
    seen([issuing], { ...certManager, secrets: { tls: await livingFor(6, 5.5) } }),
    'True ExpiresSoon',
  ],
  [
    'not renewed in time',
    seen([issuing], { ...certManager, secrets: { tls: await livingFor(6, 7) } }),
    'False Expired',
  ],
] as [string, Observed, string][]) {
  test(`certificate of an issuer: ${what}`, () =>
    assert.equal(said(certificateStatement(specOf(issuer), observed, undefined, NOW)), want))
}

/** As cert-manager 1.21 writes them. */
const certificateWith = (...conditions: [type: string, status: string, reason: string, message: string][]) =>
  object('Certificate', 's-tls', {
    status: {
      conditions: conditions.map(([type, status, reason, message]) => ({ type, status, reason, message })),
    },
  })
const requestOf = (revision: number, reason: string, message: string) =>
  object('CertificateRequest', `s-tls-${revision}`, {
    metadata: {
      name: `s-tls-${revision}`,
      annotations: {
        'cert-manager.io/certificate-name': 's-tls',
        'cert-manager.io/certificate-revision': String(revision),
      },
    },
    status: { conditions: [{ type: 'Ready', status: reason === 'Issued' ? 'True' : 'False', reason, message }] },
  })
const wanted = 'Issuing certificate as Secret does not exist'
const notThere = ['Ready', 'False', 'DoesNotExist', wanted] as const
const upToDate = ['Ready', 'True', 'Ready', 'Certificate is up to date and has not expired'] as const
const underWay = ['Issuing', 'True', 'DoesNotExist', wanted] as const
const refused = 'The certificate request has failed to complete and will be retried: the account may not issue'
const noIssuer = 'Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "absent" not found'
for (const [what, objects, words] of [
  ['cert-manager has not begun', [certificateWith([...notThere])], `Certificate s-tls: ${wanted}`],
  [
    'the issuer is not there',
    [
      certificateWith([...notThere], [...underWay]),
      requestOf(10, 'Pending', noIssuer),
      requestOf(9, 'Issued', 'Certificate fetched from issuer successfully'),
    ],
    `CertificateRequest s-tls-10: ${noIssuer}`,
  ],
  [
    'the issuer has refused, and is asked again later',
    [certificateWith([...notThere], ['Issuing', 'False', 'Failed', refused]), requestOf(1, 'Failed', 'may not')],
    `Certificate s-tls: ${refused}`,
  ],
  [
    'a renewal has been refused',
    [certificateWith([...upToDate], ['Issuing', 'False', 'Failed', refused])],
    `Certificate s-tls: ${refused}`,
  ],
  [
    'a renewal is done',
    [certificateWith([...upToDate], ['Issuing', 'False', 'Issued', 'The certificate has been successfully issued'])],
    undefined,
  ],
  ['a certificate is good', [certificateWith([...upToDate]), requestOf(1, 'Failed', 'may not')], undefined],
] as [string, KubeObject[], string | undefined][]) {
  test(`certificate of an issuer: what is said when ${what}`, () => {
    const there = seen(objects, { ...certManager, secrets: { tls } })
    const good = certificateStatement(specOf(issuer), there, undefined, NOW)
    assert.equal(said(good), 'True Issued')
    const until = 'Secret s-tls is good until 2027-06-01'
    assert.equal(good.message, words === undefined ? until : `${until}; ${words}`)
    const missing = seen(objects, { ...certManager, secrets: { tls: { name: 's-tls', found: false } } })
    const waits = certificateStatement(specOf(issuer), missing, undefined, NOW)
    assert.equal(said(waits), 'False Issuing')
    if (words !== undefined) assert.equal(waits.message, words)
  })
}

const deployment = (status: Record<string, unknown>, replicas = 2) =>
  object('Deployment', 's', { spec: { replicas }, status: { observedGeneration: 1, ...status } })
const wasAvailable: Condition[] = [
  { type: 'EngineAvailable', status: 'True', reason: '', message: '', lastTransitionTime: '' },
]
const failed = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }]
for (const [what, observed, previous, want] of [
  ['not made yet', seen(), undefined, 'False Creating'],
  ['starting', seen([deployment({ availableReplicas: 1 })]), undefined, 'False Starting'],
  ['all there', seen([deployment({ availableReplicas: 2 })]), undefined, 'True ReplicasAvailable'],
  ['one lost', seen([deployment({ availableReplicas: 1 })]), wasAvailable, 'True Degraded'],
  ['all lost', seen([deployment({ availableReplicas: 0 })]), wasAvailable, 'False Starting'],
  [
    'never coming',
    seen([deployment({ availableReplicas: 0, conditions: failed })]),
    undefined,
    'False ProgressDeadlineExceeded',
  ],
  ['scaled to zero', seen([deployment({}, 0)]), undefined, 'True ScaledToZero'],
] as [string, Observed, Condition[] | undefined, string][]) {
  test(`engine: ${what}`, () => assert.equal(said(engineStatement(observed, [], previous)), want))
}

test('engine: while it starts, it is said where its reasons are', () => {
  const { message } = engineStatement(seen([deployment({ availableReplicas: 0 })]), [], undefined)
  assert.equal(
    message,
    'Deployment s: 0 of 2 replicas are available; what its Pods wait for is in their events and logs',
  )
})

const noRelay: Partial<Observed> = { secrets: { relay: { name: 'relay', found: false } } }
const quota = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'pods are forbidden: quota' }
test('engine: what keeps new Pods from starting is told while the old ones serve, and looked for again', () => {
  const rolling = { replicas: 3, updatedReplicas: 1, availableReplicas: 2, conditions: [quota] }
  const observed = seen([deployment(rolling)], noRelay)
  const known = 'Secret relay (spec.outbound.relay.credentialsSecretRef) does not exist; pods are forbidden: quota'
  const statement = engineStatement(observed, [], wasAvailable)
  assert.deepEqual(
    [said(statement), statement.message, statement.pollMs],
    ['True RelaySecretMissing', `Deployment s: 2 of 2 replicas are available; ${known}`, 60_000],
  )
  assert.deepEqual(rolloutStatement(observed), {
    over: false,
    progress: `Deployment s: 1 of 2 replicas are up to date; ${known}`,
  })
  const stuck = rolloutStatement(seen([deployment({ ...rolling, conditions: [quota, ...failed] })], noRelay))
  assert.equal(
    stuck.trouble?.message,
    `Deployment s: 1 of 2 replicas are up to date and 2 available; ${known}; ` +
      'ProgressDeadlineExceeded; see the newest Pods’ events and logs',
  )
  assert.equal(engineStatement(seen([deployment({ availableReplicas: 2 })]), [], undefined).pollMs, undefined)
})

for (const [what, text, want] of [
  ['both keys', { username: 'us', password: 'secret' }, 'True ReplicasAvailable'],
  ['no password', { username: 'us' }, 'True RelaySecretIncomplete has no password'],
  ['a password that is empty', { username: 'us', password: '\n' }, 'True RelaySecretIncomplete has no password'],
  ['other keys', { user: 'us', pass: 'secret' }, 'True RelaySecretIncomplete has no username and no password'],
] as const) {
  test(`engine: a relay’s Secret with ${what}`, () => {
    const observed = seen([deployment({ availableReplicas: 2 })], {
      secrets: { relay: { name: 'relay', found: true, text } },
    })
    const statement = engineStatement(observed, [], wasAvailable)
    const [, lacks] =
      /; Secret relay \(spec\.outbound\.relay\.credentialsSecretRef\) (.*)$/.exec(statement.message) ?? []
    assert.equal([said(statement), lacks].filter(Boolean).join(' '), want)
    assert.equal(statement.pollMs, lacks && 60_000)
  })
}

for (const [what, status, want] of [
  ['is not seen yet', { observedGeneration: 0 }, 'Kubernetes has not seen the newest template yet'],
  ['has begun', { replicas: 3, updatedReplicas: 1 }, '1 of 2 replicas are up to date'],
  [
    'waits for an old Pod to end',
    { replicas: 3, updatedReplicas: 2, availableReplicas: 2 },
    '2 of 2 replicas are up to date; old ones that have yet to end: 1',
  ],
  [
    'waits for the last new Pod',
    { replicas: 2, updatedReplicas: 2, availableReplicas: 1 },
    '1 of 2 replicas that are up to date are available',
  ],
] as const) {
  test(`a rollout that ${what} says so, as kubectl rollout status`, () =>
    assert.equal(rolloutStatement(seen([deployment(status)])).progress, `Deployment s: ${want}`))
}

test('engine: the first Pods that wait for a relay’s Secret say so in the reason', () => {
  const statement = engineStatement(seen([deployment({ availableReplicas: 0 })], noRelay), [], undefined)
  assert.equal(said(statement), 'False SecretMissing')
  assert.match(statement.message, /; Secret relay \(spec\.outbound\.relay\.credentialsSecretRef\) does not exist; /)
})

test('engine: not started before what it needs, and its deadline is theirs', () => {
  const blocked = [databaseStatement(specOf(), seen())]
  const statement = engineStatement(seen(), blocked, undefined)
  assert.deepEqual(
    [said(statement), statement.message, statement.deadlineMs],
    ['False WaitingForDependencies', 'Waiting for DatabaseReady', undefined],
  )
})

test('engine: what holds the first Pods up, and no others', async () => {
  const say = (type: Statement['type'], status: Statement['status']) => ({ type, status, reason: 'R', message: '' })
  const types = ['DatabaseReady', 'StorageReady', 'CertificateReady', 'DKIMReady'] as const
  const failing = types.map((type) => say(type, 'False'))
  const held = (certificate: string | undefined, reason?: string) => {
    const time = '2026-01-01T00:00:00Z'
    const before = { type: 'EngineAvailable', status: 'False' as const, message: '', lastTransitionTime: time }
    return startHeldUpBy(failing, certificate, reason ? [{ ...before, reason }] : undefined).map(({ type }) => type)
  }
  const { certificate } = await makeAuthority('c', new Date())
  assert.deepEqual(held(undefined), ['DatabaseReady', 'StorageReady', 'CertificateReady'])
  assert.deepEqual(held(certificate), ['DatabaseReady', 'StorageReady'])
  assert.deepEqual(held(certificate, 'WaitingForDependencies'), ['DatabaseReady', 'StorageReady'])
  for (const reason of ['Creating', 'Starting', 'Degraded']) assert.deepEqual(held(undefined, reason), [], reason)
  const well = types.map((type) => say(type, 'True'))
  assert.deepEqual(startHeldUpBy(well, undefined, undefined), [])
})

test('engine: its start is counted from when there was a Deployment', () => {
  const since = '2026-06-01T00:00:00Z'
  const made = { ...deployment({}), metadata: { name: 's', creationTimestamp: since } }
  assert.equal(engineStatement(seen([made]), [], undefined).since, since)
  assert.equal(engineStatement(seen(), [], undefined).deadlineMs, undefined)
})

const service = object('Service', 's')
test('network: a load balancer without an address is waited for', () => {
  assert.equal(said(networkStatement(specOf(), seen([service]))), 'False AddressPending')
  assert.equal(
    said(networkStatement(specOf(), seen([service], { addresses: ['203.0.113.7'] }))),
    'True AddressAssigned',
  )
  assert.equal(said(networkStatement(specOf({ service: { type: 'ClusterIP' } }), seen([service]))), 'True ClusterIP')
})

const mx = { type: 'MX' as const, name: 'example.org', value: '10 mail.example.org.', domain: 'example.org' }
for (const [state, want] of [
  ['Published', 'True Published'],
  ['Missing', 'False RecordsMissing'],
  ['Mismatch', 'False RecordsDiffer'],
  ['Unknown', 'Unknown LookupFailed'],
] as const) {
  test(`dns: a record that is ${state}`, () =>
    assert.equal(said(dnsStatement(specOf(), seen(), [{ ...mx, state }])), want))
}

test('dns: a look that has not answered keeps what was known of the same record, and of no other', () => {
  const before = [{ ...mx, state: 'Published' as const }]
  assert.equal(recordStates([mx], undefined, before)[0]?.state, 'Published')
  assert.equal(recordStates([{ ...mx, value: '10 new.example.org.' }], undefined, before)[0]?.state, 'Unknown')
  assert.equal(recordStates([mx], [{ ...mx, state: 'Missing' }], before)[0]?.state, 'Missing')
})

const backup = { cnpg: { backup: { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } } } }
const barman = { served: { ObjectStore: served('ObjectStore'), ScheduledBackup: served('ScheduledBackup') } }
const store = object('ObjectStore', 's-db', {
  status: {
    serverRecoveryWindow: {
      's-db': { firstRecoverabilityPoint: '2026-05-01T02:05:00Z', lastSuccessfulBackupTime: '2026-05-31T02:05:00Z' },
      's-2': { lastSuccessfulBackupTime: '2026-05-31T03:05:00Z' },
    },
  },
})
const archive = (status: string, type = 'ContinuousArchiving') => ({ type, status, message: 'why' })
for (const [what, observed, want] of [
  ['no plugin', seen(), 'False CRDMissing'],
  ['nothing archived yet', seen([cluster({})], barman), 'False Waiting'],
  [
    'a log, and no backup it could be applied to',
    seen([cluster({ conditions: [archive('True')] })], barman),
    'False NoBackup',
  ],
  ['archiving', seen([cluster({ conditions: [archive('True')] }), store], barman), 'True Archiving'],
  ['an archive that fails', seen([cluster({ conditions: [archive('False')] })], barman), 'False ArchivingFails'],
  [
    'a backup that failed',
    seen([cluster({ conditions: [archive('True'), archive('False', 'LastBackupSucceeded')] })], barman),
    'False BackupFailed',
  ],
] as [string, Observed, string][]) {
  test(`backup: ${what}`, () => {
    const statements = integrationStatements(specOf({ database: backup }), observed)
    assert.deepEqual(
      statements.map((statement) => `${statement.type} ${said(statement)}`),
      [`BackupReady ${want}`],
    )
  })
}

for (const [what, serverName, want] of [
  ['under the Cluster’s name', undefined, ['2026-05-31T02:05:00Z', '2026-05-01T02:05:00Z']],
  ['under a name of its own', 's-2', ['2026-05-31T03:05:00Z', undefined]],
  ['that nobody made yet', 's-3', [undefined, undefined]],
] as const) {
  test(`backup: the status tells of one ${what}`, () => {
    const named = { ...backup.cnpg.backup, ...(serverName ? { serverName } : {}) }
    const facts = databaseFacts(
      specOf({ database: { cnpg: { backup: named } } }),
      seen([cluster(healthy), store], barman),
      true,
    )
    assert.ok(facts.kind === 'CloudNativePG')
    assert.deepEqual([facts.lastBackup, facts.recoveryPointFirst], want)
  })
}

test('backup: what backups there are is not told of a server that makes none', () => {
  assert.equal('lastBackup' in databaseFacts(specOf(), seen([cluster(healthy), store]), true), false)
})

test('routes: without the Gateway API it is named', () => {
  const gateway = { key: { namespace: 'n', name: 'public' }, gateway: undefined }
  const observed = seen([], { served: { HTTPRoute: served('HTTPRoute') }, gateway })
  const [statement] = integrationStatements(specOf({ gateway: { name: 'public', mail: true } }), observed)
  assert.equal(statement && said(statement), 'False CRDMissing')
  assert.match(statement?.message ?? '', /serves no tcproutes.gateway.networking.k8s.io/)
})

test('integrations that nobody asks for are not mentioned', () =>
  assert.deepEqual(integrationStatements(specOf(), seen()), []))

test('TLSA is of the key in use; the one before stays until DNS shows the new one (RFC 7671 §8.1)', async () => {
  const spec = specOf({ dns: { tlsa: { enabled: true } } })
  const key = createPublicKey(createPrivateKey(pair.privateKey)).export({ type: 'spki', format: 'der' })
  const value = `3 1 1 ${createHash('sha256').update(key).digest('hex')}`
  assert.deepEqual(tlsaWanted(spec, pair.certificate), [value])
  assert.deepEqual(tlsaWanted(specOf(), pair.certificate), [])
  const status = (value: string, state: 'Published' | 'Missing') => ({
    type: 'TLSA',
    name: '_25._tcp.mail.example.org',
    value,
    domain: 'mail.example.org',
    state,
  })
  const old = status('3 1 1 00', 'Published')
  assert.deepEqual(tlsaWanted(spec, pair.certificate, [old]), [value, '3 1 1 00'])
  assert.deepEqual(tlsaWanted(spec, pair.certificate, [status(value, 'Missing'), old]), [value, '3 1 1 00'])
  assert.deepEqual(tlsaWanted(spec, pair.certificate, [status(value, 'Published'), old]), [value])
  assert.deepEqual(tlsaWanted(spec, undefined, [old]), ['3 1 1 00'], 'nothing is withdrawn for want of a look')
  const unverified = specOf({ dns: { tlsa: { enabled: true }, verify: false } })
  assert.deepEqual(tlsaWanted(unverified, pair.certificate, [old]), [value])
})

test('what external-dns cannot publish is told to be published by hand', () => {
  const spec = specOf({ dns: { publish: 'ExternalDNS' } })
  const record = (type: string) => ({ type, name: 'n', value: 'v', domain: 'd', state: 'Missing' as const })
  const external = seen([], { served: { DNSEndpoint: served('DNSEndpoint') } })
  const message = (type: string) => dnsStatement(spec, external, [record(type)]).message
  assert.match(message('PTR'), /PTR n \(missing\); external-dns publishes no PTR: publish them by hand/)
  assert.equal(message('MX'), 'MX n (missing)')
})

test('dns: of records that external-dns should publish it is told whether it has read them', () => {
  const spec = specOf({ dns: { publish: 'ExternalDNS' } })
  const message = (observedGeneration?: number) => {
    const endpoint = object('DNSEndpoint', 's', { status: observedGeneration ? { observedGeneration } : {} })
    const { message: told } = dnsStatement(
      spec,
      seen([{ ...endpoint, metadata: { name: 's', generation: 2 } }], external),
      [{ ...mx, state: 'Missing' }],
    )
    return told
  }
  const external = { served: { DNSEndpoint: served('DNSEndpoint') } }
  for (const before of [undefined, 1])
    assert.match(message(before), /^MX .* \(missing\); external-dns has not read DNSEndpoint s yet: .*--source=crd/)
  assert.match(message(2), /\(missing\); external-dns has read DNSEndpoint s: it leaves out types/)
})
