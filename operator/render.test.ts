import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { InvalidSpec } from './api/mail-server.ts'
import type { KubeObject } from './kube/types.ts'
import { renderObjects } from './render.ts'

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
