/**
 * One MailServer that lives through changes, as a repository's manifest is applied: after each it is Ready and silent,
 * and once the change is taken back its objects are those from before: nothing is left behind.
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { API_VERSION, MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { MailServerSpecInput } from '../api/mail-server-spec.ts'
import { issueCertificate, makeAuthority } from '../certificates/authority.ts'
import { findCondition } from '../kube/conditions.ts'
import { Secret } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { idOf } from './kinds.ts'
import { isReady, openTestCluster } from './testing/cluster.ts'
import { essence, ownedObjects } from './testing/owned.ts'
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
    verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const name = 'live'
const BASE: MailServerSpecInput = { hostname: 'mail.example.org', domains: [{ name: 'example.org' }] }
const apply = (spec: MailServerSpecInput) =>
  cluster.apply({
    apiVersion: API_VERSION,
    kind: MailServerResource.kind,
    metadata: { name, namespace },
    spec: { ...spec },
  })

/** Nothing is on its way. */
const isThere = (found: MailServer) => isReady(found) && !findCondition(found.status?.conditions, 'Reconciling')

/** Rounds of reconciling until one writes nothing: an operator that never ends is at odds with somebody. */
const ROUNDS = 40
async function settled(): Promise<MailServer> {
  for (let round = 0; round < ROUNDS; round++) {
    await cluster.until(name, isThere, `${name} to be Ready`)
    const before = writes.length
    operator.controllers[0]?.queue.add({ namespace, name })
    await quiet(operator)
    if (writes.length === before) return cluster.until(name, isThere, `${name} to be Ready still`)
  }
  return assert.fail(`still writing: ${writes.slice(-10).join(', ')}`)
}

/** Our own certificate is another one each time; whether it is right is certificates/'s. */
const REISSUED = `Secret/${name}-tls`

/** What is there of it: objects by id, and types of conditions. */
async function seen() {
  const { status } = await settled()
  const objects = (await ownedObjects(cluster, name)).map((object) => {
    const { data, hash, ...rest } = essence(object)
    const content = idOf(object) === REISSUED ? Object.keys(data ?? {}) : { data, hash }
    return [idOf(object), { ...rest, content }] as const
  })
  return { objects: new Map(objects), conditions: status?.conditions?.map(({ type }) => type) }
}

test('a MailServer with what it needs around it', { skip }, async () => {
  const authority = await makeAuthority('issuer', new Date())
  const issued = await issueCertificate(authority, ['mail.example.org'], new Date())
  for (const [secret, content] of Object.entries({
    relay: { username: 'a', password: 'b' },
    backup: { accessKey: 'a', secretKey: 'b' },
    'given-tls': { 'tls.crt': issued.certificate, 'tls.key': issued.privateKey },
  })) {
    const data = Object.fromEntries(
      Object.entries(content).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    )
    const metadata = { name: secret, namespace }
    await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata, data })
  }
  await apply(BASE)
  await settled()
})

interface Change {
  what: string
  spec: Partial<MailServerSpecInput>
  /** Ids of data, which a changed spec never removes. */
  kept?: string[]
}
const CHANGES: Change[] = [
  { what: 'another hostname', spec: { hostname: 'mx.example.org' } },
  {
    what: 'a second domain',
    spec: { domains: [...BASE.domains, { name: 'example.net' }] },
    kept: [`Secret/${name}-dkim-example.net-default`, `Secret/${name}-dkim-example.net-ed25519`],
  },
  { what: 'more replicas', spec: { replicas: 3 } },
  { what: 'one replica', spec: { replicas: 1 } },
  { what: 'resources', spec: { resources: { requests: { cpu: '500m' }, limits: { memory: '1Gi' } } } },
  { what: 'workers', spec: { workers: 2 } },
  { what: 'labels of Pods', spec: { pod: { labels: { team: 'mail' }, annotations: { 'example.org/note': 'x' } } } },
  { what: 'a Service in the cluster', spec: { service: { type: 'ClusterIP' } } },
  { what: 'a Service on nodes', spec: { service: { type: 'NodePort', externalTrafficPolicy: 'Cluster' } } },
  {
    what: 'another load balancer',
    spec: {
      service: {
        annotations: { 'example.org/pool': 'mail' },
        loadBalancerSourceRanges: ['198.51.100.0/24'],
        externalTrafficPolicy: 'Cluster',
      },
    },
  },
  { what: 'the PROXY protocol', spec: { service: { proxyProtocol: { trustedNetworks: ['192.0.2.0/24'] } } } },
  { what: 'HTTPS at the load balancer', spec: { service: { https: true } } },
  { what: 'an Ingress', spec: { ingress: { className: 'nginx' } } },
  { what: 'a Gateway', spec: { gateway: { name: 'public', mail: true } } },
  { what: 'autoscaling', spec: { autoscaling: { minReplicas: 2, maxReplicas: 4 } } },
  {
    what: 'monitoring',
    spec: { monitoring: { podMonitor: { enabled: true }, prometheusRule: { enabled: true } } },
  },
  { what: 'spam rules', spec: { spam: { requiredScore: 4, rules: ['body X /x/\nscore X 1'] } } },
  {
    what: 'a relay',
    spec: { outbound: { relay: { host: 'smtp.relay.example', credentialsSecretRef: { name: 'relay' } } } },
  },
  { what: 'limits', spec: { limits: { messageBytes: 10_485_760 } } },
  { what: 'no NetworkPolicy', spec: { networkPolicy: { enabled: false } } },
  { what: 'a certificate of somebody else', spec: { tls: { secretName: 'given-tls' } } },
  { what: 'parameters of the database', spec: { database: { cnpg: { parameters: { shared_buffers: '512MB' } } } } },
  {
    what: 'backups',
    spec: {
      database: { cnpg: { backup: { destinationPath: 's3://backups/', credentialsSecretRef: { name: 'backup' } } } },
    },
    kept: [`ObjectStore/${name}-db`],
  },
  { what: 'records by external-dns', spec: { dns: { publish: 'ExternalDNS' } } },
  { what: 'no MTA-STS', spec: { dns: { mtaSts: 'none' } } },
]

for (const { what, spec, kept = [] } of CHANGES) {
  test(`${what}, and back`, { skip }, async () => {
    const before = await seen()
    await apply({ ...BASE, ...spec })
    const changed = await seen()
    assert.notDeepEqual(changed.objects, before.objects)
    await apply(BASE)
    const back = await seen()
    for (const id of kept) {
      assert.deepEqual(back.objects.get(id), changed.objects.get(id), id)
      back.objects.delete(id)
    }
    assert.deepEqual(back, before)
  })
}
