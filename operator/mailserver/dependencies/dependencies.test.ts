/** What is said of each dependency, from what was observed. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailServerSpec } from '../../api/mail-server.ts'
import type { MailServerSpecInput } from '../../api/mail-server-spec.ts'
import type { BucketState } from '../../bucket/bucket.ts'
import { issueCertificate, makeAuthority } from '../../certificates/authority.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import { idOf } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { MINIMAL } from '../testing/context.ts'
import { certificateStatement } from './certificate.ts'
import { databaseStatement } from './database.ts'
import { dnsStatement, recordStates } from './dns.ts'
import { engineStatement, networkStatement } from './engine.ts'
import { integrationStatements } from './integrations.ts'
import type { Statement } from './statement.ts'
import { storageStatement } from './storage.ts'

const NOW = new Date('2026-06-01T00:00:00Z')
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
    secrets: {},
    addresses: [],
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
  ['an old one', 'mail.example.org', tls, new Date('2028-01-01'), 'False Expired'],
] as const) {
  test(`given certificate: ${what}`, () => {
    const spec = specOf({ hostname, tls: { secretName: 'given' } })
    assert.equal(said(certificateStatement(spec, seen([], { secrets: { tls: given } }), undefined, now)), want)
  })
}

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
] as [string, Observed, string][]) {
  test(`certificate of an issuer: ${what}`, () =>
    assert.equal(said(certificateStatement(specOf(issuer), observed, undefined, NOW)), want))
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

test('engine: not started before what it needs, and its deadline is theirs', () => {
  const blocked = [databaseStatement(specOf(), seen())]
  const statement = engineStatement(seen(), blocked, undefined)
  assert.deepEqual(
    [said(statement), statement.message, statement.deadlineMs],
    ['False WaitingForDependencies', 'Waiting for DatabaseReady', undefined],
  )
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
const archive = (status: string, type = 'ContinuousArchiving') => ({ type, status, message: 'why' })
for (const [what, observed, want] of [
  ['no plugin', seen(), 'False CRDMissing'],
  ['nothing archived yet', seen([cluster({})], barman), 'False Waiting'],
  ['archiving', seen([cluster({ conditions: [archive('True')] })], barman), 'True Archiving'],
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

const route = (conditions: unknown[]) =>
  object('HTTPRoute', 's-http', { status: { parents: conditions.length > 0 ? [{ conditions }] : [] } })
for (const [what, objects, want] of [
  ['nobody has looked at it', [route([])], 'False NotAccepted'],
  ['refused', [route([{ type: 'Accepted', status: 'False', message: 'no listener' }])], 'False NotAccepted'],
  ['accepted', [route([{ type: 'Accepted', status: 'True' }])], 'True Accepted'],
] as const) {
  test(`route: ${what}`, () => {
    const observed = seen([...objects], { served: { HTTPRoute: served('HTTPRoute') } })
    assert.deepEqual(integrationStatements(specOf({ gateway: { name: 'public' } }), observed).map(said), [want])
  })
}

test('integrations that nobody asks for are not mentioned', () =>
  assert.deepEqual(integrationStatements(specOf(), seen()), []))
