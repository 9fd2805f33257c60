/**
 * Everything that a MailServer owns, deleted, changed and stripped of its labels: it comes back. What others are there
 * to change stays theirs.
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { issueCertificate, makeAuthority } from '../certificates/authority.ts'
import { keyOf, Secret } from '../kube/resources.ts'
import type { KubeObject } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { RESTART_HASH } from './desired/deployment.ts'
import { idOf, newestVersions } from './kinds.ts'
import { isReady, openTestCluster } from './testing/cluster.ts'
import { EVERYTHING } from './testing/context.ts'
import { essence, OWNED_KINDS, ownedObjects, resourceOf } from './testing/owned.ts'
import { namePoolerInCertificate, playPooler } from './testing/pooler.ts'
import { applyThirdPartyCrds, noThirdPartyCrds } from './testing/third-party-crds.ts'

const skip = noThirdPartyCrds
const cluster = await openTestCluster()
const { client, namespace } = cluster
if (!skip) await applyThirdPartyCrds(client)
const { client: counted, writes, quiet } = await cluster.countingClient()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test', resyncMs: 600_000 },
  {
    client: counted,
    ensureBucket: async () => ({ ok: true, message: 'answers' }),
    verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const find = (object: KubeObject) => client.find(resourceOf(object), keyOf(object))

const owned = () => ownedObjects(cluster, 'all')

async function settle(): Promise<void> {
  await cluster.until('all', isReady, 'all to be Ready')
  await quiet(operator)
}

/** Does something to every object at once, and waits until each is as it was. */
async function undone(act: (object: KubeObject) => Promise<unknown>): Promise<void> {
  await settle()
  const before = await owned()
  await Promise.all(before.map(act))
  for (const object of before) {
    const wanted = essence(object)
    await cluster.eventually(
      async () => {
        const now = await find(object)
        return now && isDeepStrictEqual(essence(now), wanted)
      },
      `${idOf(object)} to be as it was`,
    )
  }
  await settle()
  assert.deepEqual((await owned()).map(idOf).sort(), before.map(idOf).sort())
}

test('a MailServer that uses everything', { skip }, async () => {
  const authority = await makeAuthority('issuer', new Date())
  const issued = await issueCertificate(authority, ['mail.example.org'], new Date())
  for (const [name, content, labels] of [
    ['s3', { accessKey: 'a', secretKey: 'b' }, {}],
    ['s3-ca', { 'ca.crt': authority.certificate }, {}],
    ['relay', { username: 'a', password: 'b' }, {}],
    // As cert-manager would have made it.
    ['all-tls', { 'tls.crt': issued.certificate, 'tls.key': issued.privateKey }, { [SERVER_LABEL]: 'all' }],
  ] as [string, Record<string, string>, Record<string, string>][]) {
    const data = Object.fromEntries(
      Object.entries(content).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    )
    await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels }, data })
  }
  // A real API server refuses Pods of a priority class that it does not have.
  const { priorityClassName: _, ...pod } = EVERYTHING.pod ?? {}
  await cluster.mailServer('all', { ...EVERYTHING, pod })
  await cluster.eventually(() => cluster.get(newestVersions().Cluster, 'all-db'), 'the Cluster')
  await namePoolerInCertificate(cluster, 'all')
  await playPooler(cluster, 'all', [true, true])
  await settle()
  const kinds = new Set((await owned()).map(({ kind }) => kind))
  assert.deepEqual([...kinds].sort(), OWNED_KINDS.map(({ kind }) => kind).sort())
})

/** A change of a field of ours, by kind. */
const CHANGES: Record<string, Record<string, unknown>> = {
  ServiceAccount: { automountServiceAccountToken: true },
  Service: { spec: { selector: { 'app.kubernetes.io/instance': 'theirs' } } },
  Deployment: { spec: { strategy: { rollingUpdate: { maxSurge: 3 } } } },
  PodDisruptionBudget: { spec: { maxUnavailable: 2 } },
  NetworkPolicy: { spec: { egress: [] } },
  Ingress: { spec: { ingressClassName: 'theirs' } },
  HorizontalPodAutoscaler: { spec: { maxReplicas: 99 } },
  Cluster: { spec: { instances: 5 } },
  Pooler: { spec: { instances: 9 } },
  ObjectStore: { spec: { configuration: { destinationPath: 's3://theirs/' } } },
  ScheduledBackup: { spec: { schedule: '0 0 0 * * *' } },
  Certificate: { spec: { dnsNames: ['theirs.example'] } },
  DNSEndpoint: { spec: { endpoints: [] } },
  PodMonitor: { spec: { podMetricsEndpoints: [{ port: 'theirs' }] } },
  PrometheusRule: { spec: { groups: [] } },
  HTTPRoute: { spec: { hostnames: ['theirs.example'] } },
  TCPRoute: { spec: { parentRefs: [{ name: 'theirs' }] } },
}
/** Contents that are generated: whoever changes one means it. */
const GENERATED = /-admin$|-tls-ca$|-dkim-/

test('a field of each object that somebody changed is changed back', { skip }, () =>
  undone((object) => {
    const { data = {}, metadata } = object
    const [key] = Object.keys(data)
    const relabelled = { metadata: { labels: { 'app.kubernetes.io/instance': 'theirs' } } }
    const content = GENERATED.test(metadata.name) || !key ? relabelled : { data: { [key]: 'dGhlaXJz' } }
    const patch = CHANGES[object.kind] ?? content
    return client.mergePatch(resourceOf(object), keyOf(object), patch, { fieldManager: 'somebody' })
  }),
)

test('labels that somebody took away from each object are put back', { skip }, () =>
  undone((object) => {
    const labels = Object.fromEntries(Object.keys(object.metadata.labels ?? {}).map((key) => [key, null]))
    return client.mergePatch(resourceOf(object), keyOf(object), { metadata: { labels } }, { fieldManager: 'somebody' })
  }),
)

test('each object that is deleted comes back', { skip }, async () => {
  await settle()
  const before = await owned()
  for (const object of before) await client.delete(resourceOf(object), keyOf(object))
  for (const object of before) {
    await cluster.eventually(
      async () => {
        const now = await find(object)
        return now && now.metadata.uid !== object.metadata.uid
      },
      `${idOf(object)} to come back`,
    )
  }
  await settle()
  const after = new Map((await owned()).map((object) => [idOf(object), object]))
  assert.deepEqual([...after.keys()].sort(), before.map(idOf).sort())
  for (const object of before) {
    const now = after.get(idOf(object)) ?? assert.fail(idOf(object))
    if (GENERATED.test(object.metadata.name)) {
      assert.deepEqual(Object.keys(now.data ?? {}), Object.keys(object.data ?? {}), idOf(object))
    } else if (!['Secret', 'DNSEndpoint', 'Deployment'].includes(object.kind)) {
      // Those tell of new keys and of a new token.
      assert.deepEqual(essence(now).spec, essence(object).spec, idOf(object))
    }
  }
})

test('what others are there to change is left to them, and costs no write', { skip }, async () => {
  await settle()
  const annotations = { 'example.org/theirs': 'x' }
  const objects = (await owned()).filter(({ kind }) => kind !== 'Secret')
  const restart = { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } } }
  const fields: Record<string, Record<string, unknown>> = {
    Deployment: { spec: { ...restart, minReadySeconds: 5 } },
    Cluster: { spec: { stopDelay: 60 } },
    Service: { spec: { sessionAffinity: 'ClientIP' } },
  }
  const before = writes.length
  for (const object of objects) {
    const patch = { metadata: { annotations }, ...fields[object.kind] }
    await client.mergePatch(resourceOf(object), keyOf(object), patch, { fieldManager: 'somebody' })
  }
  await quiet(operator)
  operator.controllers[0]?.queue.add({ namespace, name: 'all' })
  await quiet(operator)
  const applied = writes.slice(before).filter((write) => !/MailServer\/status|Event/.test(write))
  assert.deepEqual(applied, [])
  for (const object of objects) {
    const now = (await find(object)) ?? assert.fail(idOf(object))
    assert.equal(now.metadata.annotations?.['example.org/theirs'], 'x', idOf(object))
    const spec = now.spec as Record<string, unknown>
    if (object.kind === 'Cluster') assert.equal(spec.stopDelay, 60)
    if (object.kind === 'Deployment') {
      const { metadata } = spec.template as { metadata: { annotations: Record<string, string> } }
      assert.deepEqual(Object.keys(metadata.annotations).sort(), [
        'example.org/note',
        'kubectl.kubernetes.io/restartedAt',
        RESTART_HASH,
      ])
    }
  }
})

test('who scales the MailServer scales its Pods, for good', { skip }, async () => {
  await settle()
  const patch = { spec: { replicas: 5 } }
  await client.mergePatch(MailServerResource, { namespace, name: 'all' }, patch, { subresource: 'scale' })
  const five = (found: MailServer) => isReady(found) && found.status?.readyReplicas === 5
  await cluster.until('all', five, '5 ready replicas')
  await settle()
  const { spec } = await cluster.until('all', five, '5 ready replicas still')
  assert.equal(spec.replicas, 5)
})
