import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { deployment, RESTART_HASH } from './deployment.ts'

interface Template {
  metadata: { annotations: Record<string, string>; labels: Record<string, string> }
  spec: {
    containers: {
      ports: { name: string; containerPort: number }[]
      env: { name: string; value?: string }[]
      volumeMounts: { name: string; mountPath: string }[]
    }[]
    volumes: { name: string; secret?: { secretName: string } }[]
    securityContext: Record<string, unknown>
  }
}
function templateOf(...given: Parameters<typeof contextOf>): Template {
  const object = deployment(contextOf(...given))
  assert.ok(object)
  return (object.spec as { template: Template }).template
}
const hashOf = (...given: Parameters<typeof contextOf>) => templateOf(...given).metadata.annotations[RESTART_HASH]

// An operator upgrade that changes this restarts every engine in the world. Change it only together with something that
// has to restart them, and say so in the commit.
for (const [name, spec] of [
  ['minimal', {}],
  ['everything', EVERYTHING],
] as const) {
  test(`the Pod template of "${name}" is the golden one`, () => {
    const golden = JSON.parse(readFileSync(new URL(`testdata/pod-template.${name}.json`, import.meta.url), 'utf8'))
    assert.deepEqual(templateOf(spec), golden)
  })
}

test('ports, environment and mounts are those of the contract', () => {
  const [container] = templateOf(EVERYTHING).spec.containers
  assert.deepEqual(
    container?.ports.map(({ name, containerPort }) => `${name} ${containerPort}`),
    ['smtp 25', 'smtps 465', 'submission 587', 'imaps 993', 'jmap 8080'],
  )
  assert.deepEqual(
    container?.env.map(({ name }) => name),
    ['STALWART_DATABASE_URL', 'MAIL_ROOT', 'POD_NAME', 'MAIL_WORKERS'],
  )
  assert.deepEqual(
    container?.volumeMounts.map(({ mountPath }) => mountPath),
    ['config', 'tls', 'dkim', 'admin', 'db-ca', 's3', 's3-ca', 'relay']
      .map((name) => `/etc/mail/${name}`)
      .concat('/tmp'),
  )
})

test('labels of the user never replace those that the selector needs', () => {
  const { labels } = templateOf({ pod: { labels: { 'app.kubernetes.io/instance': 'other', team: 'mail' } } }).metadata
  assert.equal(labels['app.kubernetes.io/instance'], 'stalwart')
  assert.equal(labels.team, 'mail')
})

type Spec = Parameters<typeof contextOf>[0]
const s3 = { endpoint: 'https://a.example', bucket: 'mail', credentialsSecretRef: { name: 's3' } }
const changes: [string, Spec, Spec, boolean][] = [
  ['a domain', {}, { domains: [{ name: 'example.org' }, { name: 'example.net' }] }, false],
  ['spam rules', {}, { spam: { requiredScore: 7 } }, false],
  ['limits', {}, { limits: { messageBytes: 1_000_000 } }, false],
  ['replicas', {}, { replicas: 5 }, false],
  ['the storage endpoint', { storage: { s3 } }, { storage: { s3: { ...s3, endpoint: 'https://b.example' } } }, true],
  ['resources', {}, { resources: { limits: { memory: '1Gi' } } }, true],
]
for (const [what, before, after, rolls] of changes) {
  test(`a change of ${what} ${rolls ? 'rolls' : 'does not roll'} the Pods`, () => {
    assert.equal(JSON.stringify(templateOf(before)) !== JSON.stringify(templateOf(after)), rolls)
  })
}

test('a new database password rolls the Pods, and the annotation does not tell it', () => {
  const other = 'postgresql://app:other@stalwart-db-rw.communication:5432/app'
  assert.notEqual(hashOf({}, { databaseUrl: other }), hashOf())
  // Keyed: the same URL under another token has another hash.
  assert.notEqual(hashOf({}, { restartSecret: 'another' }), hashOf())
})

test('with a certificate of the user’s, that Secret is mounted', () => {
  const { volumes } = templateOf({ tls: { secretName: 'given' } }).spec
  assert.equal(volumes.find(({ name }) => name === 'tls')?.secret?.secretName, 'given')
})
