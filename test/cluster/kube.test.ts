/** The controller runtime against a real API server: what a fake one can only assume. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { needsApply, withHash } from '../../operator/kube/apply-if-changed.ts'
import { createKubeClient, type KubeApi } from '../../operator/kube/client.ts'
import { isKubeError, type KubeErrorKind } from '../../operator/kube/errors.ts'
import { createEventRecorder } from '../../operator/kube/events.ts'
import { type LeaderElection, startLeaderElection } from '../../operator/kube/leader-election.ts'
import { startReflector } from '../../operator/kube/reflector.ts'
import {
  ConfigMap,
  CustomResourceDefinition,
  Deployment,
  Event,
  Namespace,
  NetworkPolicy,
  PodDisruptionBudget,
  Secret,
  Service,
} from '../../operator/kube/resources.ts'
import type { KubeObject, Resource } from '../../operator/kube/types.ts'

const path = process.env.KUBECONFIG_UNDER_TEST
const here = { skip: path ? false : 'KUBECONFIG_UNDER_TEST is not set (npm run test:cluster)' }
const namespace = `kube-test-${randomBytes(4).toString('hex')}`
const key = (name: string) => ({ namespace, name })
const manager = { fieldManager: 'kube-test' }
let client: KubeApi

before(async () => {
  if (!path) return
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromFile(path)
  client = createKubeClient({ kubeConfig, userAgent: 'kube-test' })
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
})
after(async () => {
  if (!path) return
  await client.delete(Namespace, { namespace: '', name: namespace })
  await client[Symbol.asyncDispose]()
})

const configMap = (name: string, data: Record<string, string> = { a: '1' }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
})

async function kindOf(call: Promise<unknown>): Promise<KubeErrorKind | undefined> {
  try {
    await call
    return undefined
  } catch (error) {
    assert.ok(isKubeError(error), String(error))
    return error.kind
  }
}

async function until<T>(look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (;;) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('refusals have the kind that their handler expects', here, async () => {
  const made = await client.create(ConfigMap, configMap('errors'))
  assert.equal(await kindOf(client.get(ConfigMap, key('absent'))), 'NotFound')
  assert.equal(await kindOf(client.create(ConfigMap, configMap('errors'))), 'AlreadyExists')
  await client.replace(ConfigMap, { ...made, data: { a: '2' } })
  assert.equal(await kindOf(client.replace(ConfigMap, { ...made, data: { a: '3' } })), 'Conflict')
  assert.equal(await kindOf(client.create(ConfigMap, configMap('Not_A_Name'))), 'Invalid')
  const theirs = { fieldManager: 'another', force: false }
  assert.equal(await kindOf(client.apply(ConfigMap, configMap('errors', { a: 'x' }), theirs)), 'Conflict')
  assert.equal(await client.delete(ConfigMap, key('errors'), { uid: '00000000-0000-0000-0000-000000000000' }), false)
  assert.equal(await client.delete(ConfigMap, key('errors'), made.metadata.uid ? { uid: made.metadata.uid } : {}), true)
  assert.equal(await client.delete(ConfigMap, key('errors')), false)
  assert.equal(await client.find({ ...ConfigMap, group: 'absent.example', version: 'v1' }, key('x')), undefined)
})

test('a refused Secret does not tell its content', here, async () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'bad', namespace },
    data: { password: 'hunter2!' },
  }
  await assert.rejects(client.apply(Secret, secret, manager), (error) => {
    assert.ok(isKubeError(error))
    assert.ok(!error.message.includes('hunter2'), error.message)
    return true
  })
})

test('lists page through the whole collection', here, async () => {
  await Promise.all(Array.from({ length: 12 }, (_, i) => client.create(ConfigMap, configMap(`page-${i}`))))
  const { items } = await client.list(ConfigMap, { namespace })
  assert.equal(items.filter(({ metadata }) => metadata.name.startsWith('page-')).length, 12)
  assert.equal(items[0]?.kind, 'ConfigMap')
})

test('a reflector sees what enters, changes in and leaves its selection', here, async () => {
  const told: string[] = []
  await client.create(ConfigMap, {
    ...configMap('watched'),
    metadata: { name: 'watched', namespace, labels: { w: 'yes' } },
  })
  const reflector = startReflector(client, ConfigMap, { namespace, labelSelector: 'w=yes' })
  reflector.onChange(({ type, object }) => told.push(`${type} ${object.data?.a}`))
  await reflector.synced
  await client.mergePatch(ConfigMap, key('watched'), { data: { a: '2' } })
  await until(() => told.includes('set 2'))
  // Without the label it leaves the selection, which a watch tells as deleted.
  await client.mergePatch(ConfigMap, key('watched'), { metadata: { labels: { w: null } } })
  await until(() => told.includes('deleted 2'))
  assert.deepEqual(told, ['set 1', 'set 2', 'deleted 2'])
  await reflector.stop()
})

test('discovery finds what is served and knows what is not', here, async () => {
  assert.deepEqual(await client.discover('apps', 'Deployment'), Deployment)
  assert.deepEqual(await client.discover('apiextensions.k8s.io', 'CustomResourceDefinition'), CustomResourceDefinition)
  assert.equal(await client.discover('absent.example', 'Thing'), undefined)
  assert.equal(await client.discover('apps', 'Thing'), undefined)
})

/** Objects as controllers write them: short forms, quantities, defaults left out. */
const settled: [Resource, KubeObject][] = [
  [
    Deployment,
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'settled', namespace, labels: { app: 'x' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'x' } },
        template: {
          metadata: { labels: { app: 'x' } },
          spec: {
            hostNetwork: false,
            automountServiceAccountToken: false,
            securityContext: {
              runAsNonRoot: true,
              sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
            },
            containers: [
              {
                name: 'main',
                image: 'x',
                env: [
                  { name: 'EMPTY', value: '' },
                  { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
                ],
                ports: [
                  { name: 'dns', containerPort: 53, protocol: 'UDP' },
                  { name: 'dns-tcp', containerPort: 53 },
                ],
                resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { cpu: 2, memory: '1.5Gi' } },
                livenessProbe: { httpGet: { path: '/', port: 'dns-tcp' }, initialDelaySeconds: 0 },
                volumeMounts: [{ name: 'tmp', mountPath: '/tmp', readOnly: false }],
              },
            ],
            volumes: [{ name: 'tmp', emptyDir: {} }],
          },
        },
      },
    },
  ],
  [
    Service,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'settled', namespace, annotations: {} },
      spec: {
        selector: { app: 'x' },
        ports: [{ name: 'smtp', port: 25, targetPort: 'smtp' }],
        publishNotReadyAddresses: false,
      },
    },
  ],
  [
    NetworkPolicy,
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'settled', namespace },
      spec: {
        podSelector: {},
        policyTypes: ['Ingress'],
        ingress: [{ ports: [{ port: 25 }, { port: 'smtp', protocol: 'TCP' }] }],
      },
    },
  ],
  [
    PodDisruptionBudget,
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'settled', namespace },
      spec: { maxUnavailable: '50%', selector: { matchLabels: { app: 'x' } } },
    },
  ],
  [ConfigMap, configMap('settled', { a: '', number: '1000m' })],
  [
    Secret,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'settled', namespace },
      type: 'Opaque',
      stringData: { a: 'x' },
    },
  ],
]
const annotation = 'example.io/applied-hash'
for (const [resource, desired] of settled) {
  test(`${resource.kind}: applied once, there is nothing more to apply; drift is noticed`, here, async () => {
    await client.apply(resource, withHash(desired, annotation), manager)
    const live = await client.get(resource, key('settled'))
    assert.equal(needsApply(desired, live, annotation), false)
    // Applied again, it is a write without effect; the generation tells, because controllers write its status meanwhile.
    const version = ({ metadata }: KubeObject) => metadata.generation ?? metadata.resourceVersion
    assert.equal(version(await client.apply(resource, withHash(desired, annotation), manager)), version(live))
    const drift =
      resource === ConfigMap || resource === Secret ? { data: { a: 'eg==' } } : { metadata: { labels: { app: 'y' } } }
    if (drift.metadata && !desired.metadata.labels) return
    await client.mergePatch(resource, key('settled'), drift)
    assert.equal(needsApply(desired, await client.get(resource, key('settled')), annotation), true)
    await client.apply(resource, withHash(desired, annotation), manager)
    assert.equal(needsApply(desired, await client.get(resource, key('settled')), annotation), false)
  })
}

test('Events are accepted, and so is their series', here, async () => {
  const regarding = await client.get(ConfigMap, key('settled'))
  const events = createEventRecorder({ client, controller: 'example.io/kube-test', instance: 'kube-test-0' })
  const statement = { type: 'Warning', reason: 'Tested', action: 'Test', note: 'a test' } as const
  for (let i = 0; i < 3; i++) events.record(regarding, statement)
  await events.stop()
  const { items } = await client.list(Event, { namespace, fieldSelector: 'reason=Tested' })
  assert.equal(items.length, 1)
  assert.equal((items[0]?.series as { count?: number } | undefined)?.count, 3)
})

test('of three candidates one leads, and the next follows when it gives the Lease back', here, async () => {
  const candidates: LeaderElection[] = ['a', 'b', 'c'].map((identity) =>
    startLeaderElection({ client, identity, lease: key('lock'), retryPeriodMs: 100, onStarted() {}, onLost() {} }),
  )
  const leaders = () => candidates.filter((candidate) => candidate.isLeader())
  const seen: unknown[] = []
  for (let left = 3; left > 0; left--) {
    await until(() => leaders().length > 0)
    assert.equal(leaders().length, 1)
    const [leader] = leaders()
    seen.push(leader)
    await leader?.stop()
  }
  assert.equal(new Set(seen).size, 3)
})
