import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { InvalidSpec, parseMailServerSpec } from './api/mail-server.ts'
import type { KubeObject } from './kube/types.ts'
import { renderObjects } from './render.ts'
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
})
