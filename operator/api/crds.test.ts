/** The CRDs: in step with the schemas, structural, small, and as strict as they say. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import type { KubeObject } from '../kube/types.ts'
import { customResourceDefinitions } from './crds.ts'
import { crdFiles } from './generate.ts'
import { mailAccountSpec } from './mail-account.ts'
import { InvalidSpec, parseMailServerSpec } from './mail-server.ts'

const directory = new URL('../../crds/', import.meta.url)
type Node = Record<string, unknown>

for (const [name, content] of crdFiles()) {
  test(`crds/${name} is what npm run crds writes`, () => {
    assert.equal(readFileSync(new URL(name, directory), 'utf8'), content)
  })

  test(`crds/${name} fits into kubectl apply's annotation (256 KiB)`, () => {
    assert.ok(JSON.stringify(parse(content)).length < 200_000)
  })
}

/** Visits every schema node below a CRD's openAPIV3Schema. */
function* nodes(node: Node, path = ''): Generator<[string, Node]> {
  yield [path, node]
  for (const [name, child] of Object.entries((node.properties ?? {}) as Record<string, Node>))
    yield* nodes(child, `${path}.${name}`)
  if (node.items) yield* nodes(node.items as Node, `${path}[]`)
  if (node.additionalProperties) yield* nodes(node.additionalProperties as Node, `${path}{}`)
}

for (const crd of customResourceDefinitions()) {
  const [version] = (crd.spec as { versions: { schema: { openAPIV3Schema: Node } }[] }).versions
  const all = [...nodes(version?.schema.openAPIV3Schema ?? {})].filter(
    ([path]) => path.startsWith('.spec') || path.startsWith('.status'),
  )

  test(`${crd.metadata.name}: everything has a type and a bound, so that CEL's cost can be estimated`, () => {
    assert.ok(all.length > 20)
    for (const [path, node] of all) {
      assert.ok(node.type || node['x-kubernetes-int-or-string'], `${path}: type`)
      if (node.type === 'array') assert.ok(node.maxItems, `${path}: maxItems`)
      if (node.additionalProperties) assert.ok(node.maxProperties, `${path}: maxProperties`)
      const text = node.type === 'string' && !node.enum && node.format !== 'date-time'
      if (text) assert.ok(node.maxLength, `${path}: maxLength`)
    }
  })

  test(`${crd.metadata.name}: patterns are RE2 (no look-around)`, () => {
    for (const [path, node] of all)
      if (typeof node.pattern === 'string') assert.doesNotMatch(node.pattern, /\(\?[=!<]/, path)
  })

  test(`${crd.metadata.name}: fields of the spec are explained`, () => {
    const spec = all.filter(([path]) => /^\.spec\.\w+$/.test(path))
    const silent = spec.filter(([, node]) => !node.description).map(([path]) => path)
    // What a Kubernetes user knows from elsewhere.
    assert.deepEqual(
      silent.filter((path) => !/(imagePull|logLevel|displayName)/.test(path)),
      [],
    )
  })
}

test('the samples are valid and mean what they say', () => {
  const documents = ['1-mailserver.yaml', '2-mailaccounts.yaml'].flatMap((name) =>
    parseAllDocuments(readFileSync(new URL(`samples/${name}`, directory), 'utf8')).map(
      (document) => document.toJS() as KubeObject,
    ),
  )
  const [namespace, server, ...accounts] = documents
  assert.equal(namespace?.metadata.name, 'communication')
  const spec = parseMailServerSpec(server?.spec)
  assert.equal(spec.replicas, 2)
  assert.deepEqual(
    spec.domains.map(({ name, dmarc }) => [name, dmarc.policy]),
    [['example.org', 'reject']],
  )
  assert.deepEqual(
    accounts.map((account) => mailAccountSpec.parse(account?.spec).address),
    ['alice@example.org', 'bob@example.org'],
  )
})

test('hostname and domains are enough', () => {
  const spec = parseMailServerSpec({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }] })
  assert.equal(spec.database.cnpg?.instances, 3)
  assert.equal(spec.database.cnpg?.storage.size, '20Gi')
  assert.equal(spec.replicas, 2)
  assert.equal(spec.deletionPolicy, 'Retain')
  assert.deepEqual(spec.dkim.algorithms, ['rsa2048', 'ed25519'])
})

test('every bad field is named at once', () => {
  assert.throws(
    () => parseMailServerSpec({ hostname: 'Mail.Example.Org', domains: [{ name: 'no dots' }], replicas: -1 }),
    (error) =>
      error instanceof InvalidSpec && /spec\.hostname.*spec\.domains\[0\]\.name.*spec\.replicas/s.test(error.message),
  )
})
