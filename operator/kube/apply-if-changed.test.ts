import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalHash, differs, needsApply, withHash } from './apply-if-changed.ts'
import type { KubeObject } from './types.ts'

const object = (kind: string, rest: Record<string, unknown>): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x', namespace: 'mail' },
  ...rest,
})
const pod = (container: Record<string, unknown>, rest: Record<string, unknown> = {}) =>
  object('Deployment', { spec: { template: { spec: { containers: [{ name: 'main', ...container }], ...rest } } } })
const at = 'spec.template.spec.'

/** [what, desired, live, path of the difference or undefined] */
const cases: [string, KubeObject, KubeObject, string | undefined][] = [
  [
    'what the API adds is no difference',
    object('Service', { spec: { ports: [{ name: 'smtp', port: 25 }] } }),
    object('Service', {
      metadata: { name: 'x', namespace: 'mail', uid: 'u', resourceVersion: '5', labels: { other: 'y' } },
      spec: {
        clusterIP: '10.0.0.1',
        ports: [{ name: 'smtp', port: 25, protocol: 'TCP', targetPort: 25, nodePort: 31000 }],
      },
      status: {},
    }),
    undefined,
  ],
  ['a changed number', object('A', { spec: { replicas: 2 } }), object('A', { spec: { replicas: 3 } }), 'spec.replicas'],
  ['a missing field', object('A', { spec: { replicas: 2 } }), object('A', { spec: {} }), 'spec.replicas'],
  ['a missing spec', object('A', { spec: { replicas: 2 } }), object('A', {}), 'spec'],
  [
    'a label taken away',
    object('A', { metadata: { name: 'x', labels: { app: 'mail' } } }),
    object('A', { metadata: { name: 'x', labels: {} } }),
    'metadata.labels.app',
  ],
  [
    'quantities written differently',
    pod({ resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { cpu: 1 } } }),
    pod({ resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1' } } }),
    undefined,
  ],
  [
    'another quantity',
    pod({ resources: { requests: { cpu: '500m' } } }),
    pod({ resources: { requests: { cpu: '1' } } }),
    `${at}containers.main.resources.requests.cpu`,
  ],
  [
    'text that only looks like a quantity',
    object('ConfigMap', { data: { limits: '1000m' } }),
    object('ConfigMap', { data: { limits: '1' } }),
    'data.limits',
  ],
  [
    'a quantity-like value of env',
    pod({ env: [{ name: 'N', value: '1' }] }),
    pod({ env: [{ name: 'N', value: '1000m' }] }),
    `${at}containers.main.env.N.value`,
  ],
  [
    'int-or-string',
    pod({ livenessProbe: { httpGet: { port: 8080 } } }),
    pod({ livenessProbe: { httpGet: { port: '8080' } } }),
    undefined,
  ],
  [
    'containers and env of others beside ours, in any order',
    pod({ env: [{ name: 'A', value: 'a' }] }),
    object('Deployment', {
      spec: {
        template: {
          spec: {
            containers: [{ name: 'sidecar' }, { name: 'main', env: [{ name: 'B' }, { name: 'A', value: 'a' }] }],
          },
        },
      },
    }),
    undefined,
  ],
  [
    'a missing environment variable',
    pod({ env: [{ name: 'A', value: 'a' }] }),
    pod({ env: [] }),
    `${at}containers.main.env.A`,
  ],
  [
    'arguments are an atomic list',
    pod({ args: ['a'] }),
    pod({ args: ['a', '--insecure'] }),
    `${at}containers.main.args`,
  ],
  ['arguments in another order', pod({ args: ['a', 'b'] }), pod({ args: ['b', 'a'] }), `${at}containers.main.args.0`],
  [
    'the protocol of a port is TCP by default',
    pod({ ports: [{ containerPort: 53, protocol: 'UDP' }, { containerPort: 53 }] }),
    pod({
      ports: [
        { containerPort: 53, protocol: 'TCP' },
        { containerPort: 53, protocol: 'UDP' },
      ],
    }),
    undefined,
  ],
  [
    'a port added to a NetworkPolicy, whose lists are atomic',
    object('NetworkPolicy', { spec: { ingress: [{ ports: [{ port: 25 }] }] } }),
    object('NetworkPolicy', { spec: { ingress: [{ ports: [{ port: 25 }, { port: 22 }] }] } }),
    'spec.ingress.0.ports',
  ],
  [
    'a selector narrowed by someone, which is atomic',
    object('Service', { spec: { selector: { app: 'mail' } } }),
    object('Service', { spec: { selector: { app: 'mail', canary: 'yes' } } }),
    'spec.selector.canary',
  ],
  [
    'a selector for everything, narrowed',
    object('NetworkPolicy', { spec: { podSelector: {} } }),
    object('NetworkPolicy', { spec: { podSelector: { matchLabels: { a: 'b' } } } }),
    'spec.podSelector.matchLabels',
  ],
  [
    'empty maps and lists that the API drops',
    object('A', { spec: { ingress: [], extra: {} } }),
    object('A', { spec: {} }),
    undefined,
  ],
  ['false and zero that the API drops', pod({}, { hostNetwork: false }), pod({}), undefined],
  [
    'false where absence means something else',
    pod({}, { automountServiceAccountToken: false }),
    pod({}),
    `${at}automountServiceAccountToken`,
  ],
  [
    'stringData as the API stores it',
    object('Secret', { stringData: { a: 'x' } }),
    object('Secret', { data: { a: 'eA==' } }),
    undefined,
  ],
  [
    'stringData of another value',
    object('Secret', { stringData: { a: 'y' } }),
    object('Secret', { data: { a: 'eA==' } }),
    'data.a',
  ],
  [
    'undefined and null want nothing',
    object('A', { spec: { a: undefined, b: null } }),
    object('A', { spec: { b: 1 } }),
    undefined,
  ],
  [
    'an empty text of a ConfigMap that is gone',
    object('ConfigMap', { data: { a: '' } }),
    object('ConfigMap', { data: {} }),
    'data.a',
  ],
  [
    'finalizers and owners of others beside ours',
    object('A', { metadata: { name: 'x', finalizers: ['a/f'], ownerReferences: [{ uid: '1', name: 'o' }] } }),
    object('A', {
      metadata: { name: 'x', finalizers: ['b/f', 'a/f'], ownerReferences: [{ uid: '2' }, { uid: '1', name: 'o' }] },
    }),
    undefined,
  ],
  ['another type altogether', object('A', { spec: { a: { b: 1 } } }), object('A', { spec: { a: 'b' } }), 'spec.a'],
]
for (const [what, desired, live, want] of cases) {
  test(`differs: ${what}`, () => assert.equal(differs(desired, live), want))
}

const annotation = 'example.io/applied-hash'
const desired = object('ConfigMap', { data: { a: '1', b: '2' } })

test('a settled object needs no apply; drift, a dropped field and absence do', () => {
  const live = { ...withHash(desired, annotation), metadata: { ...withHash(desired, annotation).metadata, uid: 'u' } }
  assert.equal(needsApply(desired, live, annotation), false)
  assert.equal(needsApply(desired, undefined, annotation), true)
  assert.equal(needsApply(desired, { ...live, data: { a: 'edited', b: '2' } }, annotation), true)
  assert.equal(needsApply({ ...desired, data: { a: '1' } }, live, annotation), true, 'b is not wanted any more')
  assert.equal(needsApply(desired, { ...live, metadata: { ...live.metadata, annotations: {} } }, annotation), true)
})

test('the hash on a Secret says nothing about its values, and a change of them is applied all the same', () => {
  const hashOf = (given: KubeObject) => withHash(given, annotation).metadata.annotations?.[annotation]
  const secret = (data: Record<string, string>) => object('Secret', { data })
  assert.equal(hashOf(secret({ url: 'Z3Vlc3M=' })), hashOf(secret({ url: 'c2VjcmV0' })))
  assert.equal(
    hashOf(object('Secret', { stringData: { a: '1' } })),
    hashOf(object('Secret', { stringData: { a: '2' } })),
  )
  assert.notEqual(hashOf(secret({ url: 'eA==' })), hashOf(secret({ url: 'eA==', more: 'eA==' })))
  assert.notEqual(hashOf(object('ConfigMap', { data: { a: '1' } })), hashOf(object('ConfigMap', { data: { a: '2' } })))
  const live = withHash(secret({ url: 'eA==', old: 'eA==' }), annotation)
  assert.equal(needsApply(secret({ url: 'eA==', old: 'eA==' }), live, annotation), false)
  assert.equal(needsApply(secret({ url: 'eQ==', old: 'eA==' }), live, annotation), true)
  assert.equal(needsApply(secret({ url: 'eA==' }), live, annotation), true, 'a key that is not wanted any more')
  const without = object('Secret', { type: 'Opaque' })
  assert.equal(hashOf(without), canonicalHash(without), 'as before: no write when the operator is upgraded')
})

test('withHash keeps other annotations and does not change its argument', () => {
  const given = { ...desired, metadata: { ...desired.metadata, annotations: { keep: 'me' } } }
  assert.deepEqual(withHash(given, annotation).metadata.annotations, { keep: 'me', [annotation]: canonicalHash(given) })
  assert.deepEqual(given.metadata.annotations, { keep: 'me' })
})

test('the hash knows no key order and no undefined, but knows list order and types', () => {
  assert.equal(canonicalHash({ a: 1, b: [1, 2] }), canonicalHash({ b: [1, 2], c: undefined, a: 1 }))
  assert.notEqual(canonicalHash({ b: [1, 2] }), canonicalHash({ b: [2, 1] }))
  assert.notEqual(canonicalHash({ a: 1 }), canonicalHash({ a: '1' }))
})
