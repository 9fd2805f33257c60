/** The CRDs: in step with the schemas, structural, small, and as strict as they say. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import type { KubeObject } from '../kube/types.ts'
import { customResourceDefinitions } from './crds.ts'
import { crdFiles } from './generate.ts'
import { InvalidSpec } from './invalid-spec.ts'
import { mailAccountSpec } from './mail-account.ts'
import { parseMailServerSpec } from './mail-server.ts'

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

const bucket = { bucket: 'mail', credentialsSecretRef: { name: 's3' } }
/** Each narrow enough by itself. */
const eighths = Array.from({ length: 32 }, (_, index) => `${index + 1}.0.0.0/8`)
const sixteenths = Array.from({ length: 8 }, (_, index) => `200${index}::/16`)

for (const [what, spec, says] of [
  [
    'networks that are none',
    { service: { loadBalancerSourceRanges: ['999.1.1.1/99', '::::/64', '10.0.0.0/33'] } },
    /Ranges\[0\]: must be a network.*Ranges\[1\].*Ranges\[2\]/,
  ],
  [
    'trust in an eighth of the world',
    { service: { proxyProtocol: { trustedNetworks: eighths } } },
    /spec\.service\.proxyProtocol\.trustedNetworks: .*much of IPv4 together/,
  ],
  [
    'trust in much of IPv6',
    { service: { proxyProtocol: { trustedNetworks: sixteenths } } },
    /spec\.service\.proxyProtocol\.trustedNetworks: .*much of IPv6 together/,
  ],
  [
    'resolvers that are none',
    { dns: { resolvers: ['1.1.1.1:99999', ':::', '[::1]:0'] } },
    /resolvers\[0\]: must be an address.*resolvers\[1\].*resolvers\[2\]/,
  ],
  ['a relay that is no host', { outbound: { relay: { host: '...' } } }, /relay\.host: must be a host name/],
  ['an address with a dot too many as relay', { outbound: { relay: { host: '192.0.2.1.5' } } }, /relay\.host/],
  [
    'an endpoint that is no URL',
    { storage: { s3: { ...bucket, endpoint: 'https://:::' } } },
    /s3\.endpoint: must be http/,
  ],
  ['a negative number as quantity', { resources: { limits: { memory: -1 } } }, /limits\.memory: must be a quantity/],
  [
    'a catch-all that is not ours',
    { domains: [{ name: 'example.org', catchAll: 'ann@elsewhere.example' }] },
    /domains\[0\]\.catchAll: must be an address at one of spec\.domains/,
  ],
  [
    'an annotation that is the operator’s own',
    { service: { annotations: { 'mail.openova.io/applied-hash': 'x' } } },
    /spec\.service\.annotations: keys under mail\.openova\.io\/ are the operator’s own/,
  ],
  [
    'a duration from before there were bounds',
    { outbound: { expire: '9999999h' } },
    /outbound\.expire: must be from 1m/,
  ],
] as const) {
  test(`InvalidSpec by name of the field: ${what}`, () =>
    assert.throws(
      () => parseMailServerSpec({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }], ...spec }),
      (error) => error instanceof InvalidSpec && says.test(error.message),
    ))
}

test('what is usual passes', () => {
  const { service, dns, outbound } = parseMailServerSpec({
    hostname: 'mail.example.org',
    domains: [{ name: 'example.org' }],
    service: {
      loadBalancerSourceRanges: ['0.0.0.0/0', '::/0'],
      proxyProtocol: {
        trustedNetworks: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fd00::/16'],
      },
    },
    dns: { resolvers: ['192.0.2.53', '192.0.2.53:5353', '2001:db8::1', '[2001:db8::1]:53', '::ffff:192.0.2.1'] },
    outbound: { relay: { host: 'smarthost' }, retryDelays: ['90s', '1h30m'], expire: '0.5h' },
    resources: { requests: { cpu: 1, memory: '1.5Gi' }, limits: { cpu: '500m', memory: '1e9' } },
  })
  assert.equal(service.proxyProtocol?.trustedNetworks.length, 5)
  assert.equal(dns.resolvers.length, 5)
  assert.equal(outbound.expire, '0.5h')
})
