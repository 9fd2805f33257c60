/** What holds for all objects of a MailServer. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_DOMAINS } from '../../api/mail-server-spec.ts'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { thirdPartyCrds } from '../testing/third-party-crds.ts'
import { desiredObjects } from './objects.ts'

const OTHERS = /cnpg|cert-manager|externaldns|monitoring|gateway/
const DATA = [
  'Cluster/stalwart-db',
  'Secret/stalwart-tls-ca',
  'Secret/stalwart-dkim-example.org-default',
  'Secret/stalwart-dkim-example.org-ed25519',
]
const idsOf = (...given: Parameters<typeof contextOf>) =>
  desiredObjects(contextOf(...given)).map(({ kind, metadata }) => `${kind}/${metadata.name}`)

test('the objects of a minimal MailServer', () => {
  assert.deepEqual(idsOf(), [
    'Cluster/stalwart-db',
    'ServiceAccount/stalwart',
    'Secret/stalwart-admin',
    'Secret/stalwart-tls-ca',
    'Secret/stalwart-tls',
    'Secret/stalwart-dkim-example.org-default',
    'Secret/stalwart-dkim-example.org-ed25519',
    'Secret/stalwart-dkim',
    'Secret/stalwart-db-credentials',
    'ConfigMap/stalwart-config',
    'Service/stalwart',
    'Service/stalwart-http',
    'NetworkPolicy/stalwart',
    'PodDisruptionBudget/stalwart',
    'Deployment/stalwart',
  ])
})

test('an issuer makes a Certificate instead of Secrets, external-dns gets a DNSEndpoint', () => {
  const ids = idsOf(EVERYTHING)
  assert.ok(ids.includes('Certificate/stalwart-tls') && ids.includes('DNSEndpoint/stalwart'))
  assert.equal(ids.includes('Secret/stalwart-tls'), false)
})

test('kinds that are not served are not desired', () => {
  const others = desiredObjects(contextOf(EVERYTHING, { served: {} })).filter(({ apiVersion }) =>
    OTHERS.test(apiVersion),
  )
  assert.deepEqual(others, [])
})

test('an existing database makes no Cluster', () => {
  assert.equal(idsOf({ database: { secretRef: { name: 'pg', key: 'url' } } }).includes('Cluster/stalwart-db'), false)
})

test('without database URL or storage endpoint there is no Deployment yet', () => {
  assert.equal(idsOf({}, { databaseUrl: undefined }).includes('Deployment/stalwart'), false)
  const s3 = { bucket: 'mail', credentialsSecretRef: { name: 's3' } }
  const ids = idsOf({ storage: { s3 } }, { s3Endpoint: undefined })
  assert.equal(ids.includes('Deployment/stalwart') || ids.includes('ConfigMap/stalwart-config'), false)
})

for (const deletionPolicy of ['Retain', 'Delete'] as const) {
  test(`deletionPolicy ${deletionPolicy}: database, DKIM keys and CA are not owned, all else is`, () => {
    for (const { kind, metadata } of desiredObjects(contextOf({ deletionPolicy }))) {
      const id = `${kind}/${metadata.name}`
      assert.equal(metadata.ownerReferences?.[0]?.controller ?? false, !DATA.includes(id), id)
      const options = metadata.annotations?.['argocd.argoproj.io/sync-options']
      assert.equal(options, metadata.ownerReferences ? undefined : 'Prune=false', id)
    }
  })
}

test('every object has the labels that watches and people select by', () => {
  for (const { kind, metadata } of desiredObjects(contextOf(EVERYTHING))) {
    assert.equal(metadata.labels?.['mail.openova.io/server'], 'stalwart', kind)
    assert.equal(metadata.labels?.['app.kubernetes.io/instance'], 'stalwart', kind)
    assert.equal(metadata.labels?.['app.kubernetes.io/managed-by'], 'mail-operator', kind)
    assert.equal(metadata.namespace, 'communication', kind)
  }
})

test('no object says null or undefined: server-side apply would take it for a wish', () => {
  const walk = (value: unknown, path: string): void => {
    assert.notEqual(value, null, path)
    assert.notEqual(value, undefined, path)
    if (typeof value === 'object') for (const [key, item] of Object.entries(value ?? {})) walk(item, `${path}.${key}`)
  }
  for (const spec of [{}, EVERYTHING]) for (const object of desiredObjects(contextOf(spec))) walk(object, object.kind)
})

test('keys and tokens are never in what is applied, so that no old cache overwrites them', () => {
  const generated = ['stalwart-admin', 'stalwart-tls', ...DATA.slice(1).map((id) => id.slice(7))]
  const secrets = desiredObjects(contextOf()).filter(
    ({ metadata, kind }) => kind === 'Secret' && generated.includes(metadata.name),
  )
  assert.equal(secrets.length, 5)
  for (const { metadata, data, stringData } of secrets)
    assert.deepEqual([data, stringData], [undefined, undefined], metadata.name)
})

test('the password of the database is in one Secret and nowhere else', () => {
  for (const object of desiredObjects(contextOf())) {
    const text = JSON.stringify(object)
    const encoded = Buffer.from('postgresql://app:secret@').toString('base64').slice(0, 30)
    assert.equal(
      text.includes('secret@') || text.includes(encoded),
      object.metadata.name === 'stalwart-db-credentials',
      object.metadata.name,
    )
  }
})

/** As many domains as the CRD lets in, with names of a length that is rare. */
const LARGEST: Parameters<typeof contextOf>[0] = {
  ...EVERYTHING,
  domains: Array.from({ length: MAX_DOMAINS }, (_, index) => ({
    name: `d${index}.${'long-label.'.repeat(8)}example.org`,
  })),
}
test('no object of the largest MailServer is too large for etcd', () => {
  for (const object of desiredObjects(contextOf(LARGEST)))
    assert.ok(JSON.stringify(object).length < 1_200_000, `${object.kind} ${object.metadata.name}`)
})

const crds = thirdPartyCrds()
test('objects of others are valid against their CRDs, without an unknown field', {
  skip: crds ? false : 'no ../shared/crds',
}, () => {
  const catalog = { database: { cnpg: { imageCatalogRef: { name: 'postgresql', major: 18 } } } }
  const problems = [{}, EVERYTHING, LARGEST, catalog].flatMap((spec) =>
    desiredObjects(contextOf(spec))
      .filter(({ apiVersion }) => OTHERS.test(apiVersion))
      .flatMap((object) => crds?.problems(object) ?? []),
  )
  assert.deepEqual(problems, [])
})
