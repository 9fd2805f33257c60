import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { deployment, RESTART_HASH } from './deployment.ts'
import { engineConfig } from './engine-config.ts'
import { networkPolicy } from './pod-guards.ts'

interface Template {
  metadata: { annotations: Record<string, string>; labels: Record<string, string> }
  spec: {
    containers: {
      ports: { name: string; containerPort: number }[]
      env: { name: string; value?: string }[]
      volumeMounts: { name: string; mountPath: string }[]
    }[]
    volumes: {
      name: string
      secret?: { secretName: string }
      projected?: { sources: { secret: { name: string; optional: boolean; items: { path: string }[] } }[] }
    }[]
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

test('the port of HTTPS for the world is there where it is asked for: listened on, and let in', () => {
  for (const https of [true, false]) {
    const context = contextOf({ service: { https } })
    const [container] = templateOf({ service: { https } }).spec.containers
    const port = container?.ports.find(({ name }) => name === 'https')?.containerPort
    assert.equal(port, https ? 8443 : undefined)
    assert.equal(engineConfig(context)?.listeners?.https, port)
    const { spec } = networkPolicy(context) as { spec: { ingress: { ports: { port: number }[] }[] } }
    assert.equal(
      spec.ingress[0]?.ports.some((allowed) => allowed.port === 8443),
      https,
    )
  }
})

type Spec = Parameters<typeof contextOf>[0]
const s3 = { endpoint: 'https://a.example', bucket: 'mail', credentialsSecretRef: { name: 's3' } }
const changes: [string, Spec, Spec, boolean][] = [
  ['a domain', {}, { domains: [{ name: 'example.org' }, { name: 'example.net' }] }, false],
  ['spam rules', {}, { spam: { requiredScore: 7 } }, false],
  ['limits', {}, { limits: { messageBytes: 1_000_000 } }, false],
  ['replicas', {}, { replicas: 5 }, false],
  ['the storage endpoint', { storage: { s3 } }, { storage: { s3: { ...s3, endpoint: 'https://b.example' } } }, true],
  ['HTTPS at the mail Service', {}, { service: { https: true } }, true],
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

const many = (count: number): Spec => ({
  tls: { issuerRef: { name: 'letsencrypt' } },
  domains: Array.from({ length: count }, (_, index) => ({ name: `d${index}.example` })),
})
test('domains for which one certificate has no room add a volume, once and for all of them', () => {
  const volumesOf = (count: number) => templateOf(many(count)).spec.volumes
  assert.deepEqual(templateOf(many(33)), templateOf(many(1)))
  assert.deepEqual(templateOf(many(34)), templateOf(many(200)))
  const added = volumesOf(34).filter(({ name }) => !volumesOf(33).some((volume) => volume.name === name))
  assert.deepEqual(
    added.map(({ name, projected }) => [name, projected?.sources.map(({ secret }) => secret.name)]),
    [['tls-further', [2, 3, 4, 5, 6, 7].map((number) => `stalwart-tls-${number}`)]],
  )
  // Pods start without those that are not issued yet, and get them later.
  for (const { secret } of added[0]?.projected?.sources ?? []) assert.equal(secret.optional, true)
})

test('the engine is told of the files that are mounted for the certificates there are', () => {
  const context = contextOf(many(70))
  const { sources = [] } = templateOf(many(70)).spec.volumes.find(({ name }) => name === 'tls-further')?.projected ?? {}
  const mounted = sources.flatMap(({ secret }) => secret.items.map(({ path }) => `tls-further/${path}`))
  const told = engineConfig(context)?.tls?.additional ?? []
  assert.deepEqual(
    told.flatMap(({ certFile, keyFile }) => [certFile, keyFile]),
    mounted.slice(0, 4),
  )
  assert.deepEqual(
    context.facts.certificates.slice(1).map(({ number }) => `stalwart-tls-${number}`),
    sources.slice(0, 2).map(({ secret }) => secret.name),
  )
  assert.equal(engineConfig(contextOf(many(33)))?.tls, undefined)
})

test('with a certificate of the user’s, that Secret is mounted', () => {
  const { volumes } = templateOf({ tls: { secretName: 'given' } }).spec
  assert.equal(volumes.find(({ name }) => name === 'tls')?.secret?.secretName, 'given')
})
