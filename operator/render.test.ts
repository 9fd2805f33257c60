import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { InvalidSpec } from './api/invalid-spec.ts'
import { parseMailServerSpec } from './api/mail-server.ts'
import type { KubeObject } from './kube/types.ts'
import { contextsOf, renderObjects, spamRuleMistakes } from './render.ts'
import { zoneOfFile, zoneOfServer } from './zone.ts'

const sample = readFileSync(new URL('../crds/samples/1-mailserver.yaml', import.meta.url), 'utf8')
const options = { image: 'registry.example/mail:1', addresses: ['203.0.113.7'] }

test('the sample becomes a YAML stream of its objects', () => {
  const objects = parseAllDocuments(renderObjects(sample, options)).map((document) => document.toJS() as KubeObject)
  const kinds = new Set(objects.map(({ kind }) => kind))
  for (const kind of [
    'Cluster',
    'Deployment',
    'Service',
    'Secret',
    'ConfigMap',
    'PodDisruptionBudget',
    'NetworkPolicy',
    'ServiceAccount',
  ]) {
    assert.ok(kinds.has(kind), kind)
  }
  assert.ok(objects.every(({ metadata }) => metadata.namespace === 'communication'))
})

test('lines of spam rules that an engine leaves out are told by their place in the spec', () => {
  const yaml = `kind: MailServer
metadata: { name: a }
spec:
  hostname: mail.example.org
  domains: [{ name: example.org }]
  spam:
    rules:
      - body FINE /fine/
      - |
        # ours
        boby WRONG /wrong/
`
  assert.deepEqual(spamRuleMistakes(contextsOf(yaml, options)), ['spec.spam.rules[1]:2: "boby" is not supported'])
  assert.deepEqual(spamRuleMistakes(contextsOf(sample, options)), [])
})

test('it holds no key, and no owner that exists in no cluster', () => {
  assert.doesNotMatch(renderObjects(sample, options), /PRIVATE KEY|ownerReferences/)
})

for (const [what, yaml, says] of [
  ['without a MailServer', 'kind: Namespace', /no MailServer/],
  ['with a bad one', 'kind: MailServer\nmetadata: {name: a}\nspec: {hostname: x}', /spec\.hostname/],
] as const) {
  test(`a file ${what} is refused`, () => {
    assert.throws(
      () => renderObjects(yaml, options),
      (error) => error instanceof InvalidSpec && says.test(error.message),
    )
  })
}

test('the zone of a file and the zone of a status', () => {
  const zone = zoneOfFile(sample, ['203.0.113.7'])
  assert.match(zone, /^example\.org\. IN MX 10 mail\.example\.org\.$/m)
  assert.match(zone, /^example\.org\. IN TXT "v=spf1 mx ip4:203\.0\.113\.7 -all"$/m)
  assert.match(zone, /^; default\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=rsa; p=\(generated\)"$/m)
})

test('the zone of a file says what it cannot know before the server runs', () => {
  const unknown = (yaml: string, addresses: string[]) =>
    zoneOfFile(yaml, addresses)
      .split('\n')
      .filter((line) => line.startsWith('; - '))
  const server = (spec: string) =>
    `kind: MailServer\nmetadata: {name: a}\nspec: {hostname: mail.example.org, domains: [{name: example.org}], ${spec}}`
  assert.deepEqual(unknown(sample, ['203.0.113.7']), ['; - the DKIM keys: their records are comments below'])
  assert.deepEqual(unknown(server('ingress: {}, dns: {tlsa: {enabled: true}}'), []), [
    '; - the DKIM keys: their records are comments below',
    '; - the addresses of the Service (LoadBalancer): no A, AAAA and PTR, none in SPF (--address tells them)',
    '; - the addresses of the Ingress: the names for HTTP are aliases of the host name here',
    '; - the key of the certificate: no TLSA',
  ])
})

test('the zone of a server is what its status has, whole or from the list', () => {
  const spec = parseMailServerSpec({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }] })
  const records = [
    {
      type: 'MX',
      name: 'example.org',
      value: '10 mail.example.org.',
      domain: 'example.org',
      state: 'Missing' as const,
    },
  ]
  const server = { apiVersion: '', kind: 'MailServer', metadata: { name: 's' }, spec, status: { dns: { records } } }
  assert.equal(zoneOfServer(server), '$TTL 3600\n\n; example.org\nexample.org. IN MX 10 mail.example.org.\n')
  const status = { dns: { records, omitted: 7 } }
  assert.match(zoneOfServer({ ...server, status }), /\n; 7 published records are not among these/)
  assert.equal(zoneOfServer({ ...server, status: { dns: { records, zone: 'as it is\n' } } }), 'as it is\n')
})
