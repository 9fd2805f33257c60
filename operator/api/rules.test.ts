/** What the API server itself refuses: the schema's bounds and CEL rules, on the local API or KUBECONFIG_UNDER_TEST. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestCluster } from '../mailserver/testing/cluster.ts'
import { API_VERSION, MailAccountResource, MailServerResource } from './group.ts'

const { client, namespace } = await openTestCluster()

const domains = [{ name: 'example.org' }]
const s3 = { bucket: 'mail', credentialsSecretRef: { name: 's3' } }
const server = (name: string, spec: Record<string, unknown>) =>
  client.create(MailServerResource, {
    apiVersion: API_VERSION,
    kind: 'MailServer',
    metadata: { name, namespace },
    spec: { hostname: 'mail.example.org', domains, ...spec },
  })

for (const [what, spec, says] of [
  [
    'rejectScore below requiredScore',
    { spam: { requiredScore: 9, rejectScore: 3 } },
    /spec\.spam: .*rejectScore must not be below requiredScore/,
  ],
  ['a domain twice', { domains: [...domains, ...domains] }, /spec\.domains\[1\]: Duplicate value/],
  ['no domain', { domains: [] }, /spec\.domains/],
  ['a host name in capitals', { hostname: 'Mail.example.org' }, /spec\.hostname/],
  ['neither cnpg nor secretRef', { database: {} }, /exactly one of cnpg and secretRef/],
  [
    'both cnpg and secretRef',
    { database: { cnpg: {}, secretRef: { name: 'pg' } } },
    /exactly one of cnpg and secretRef/,
  ],
  [
    'as many synchronous replicas as instances',
    { database: { cnpg: { instances: 1, synchronousReplicas: 1 } } },
    /synchronousReplicas must be below instances/,
  ],
  [
    'issuer and Secret',
    { tls: { issuerRef: { name: 'a' }, secretName: 'b' } },
    /at most one of issuerRef and secretName/,
  ],
  ['a relay without a host', { outbound: { relay: { port: 25 } } }, /spec\.outbound\.relay\.host: Required value/],
  [
    'trust in everybody',
    { service: { proxyProtocol: { trustedNetworks: ['0.0.0.0/0'] } } },
    /the whole address space cannot be trusted/,
  ],
  [
    'a class without a load balancer',
    { service: { type: 'ClusterIP', loadBalancerClass: 'x' } },
    /loadBalancerClass needs type LoadBalancer/,
  ],
  ['Ed25519 alone', { dkim: { algorithms: ['ed25519'] } }, /rsa2048 must be among them/],
  [
    'fewer replicas at most than at least',
    { autoscaling: { minReplicas: 5, maxReplicas: 2 } },
    /maxReplicas must not be below minReplicas/,
  ],
  [
    'a DMARC policy that is none',
    { domains: [{ name: 'example.org', dmarc: { policy: 'ignore' } }] },
    /dmarc\.policy: Unsupported value/,
  ],
  ['a negative number of replicas', { replicas: -1 }, /spec\.replicas/],
] as [string, Record<string, unknown>, RegExp][]) {
  test(`a MailServer with ${what} is refused by name of the field`, () => assert.rejects(server('bad', spec), says))
}

test('a name that its Services could not have is refused', async () => {
  await assert.rejects(server('mail.example', {}), /metadata\.name must be at most 50/)
  await assert.rejects(server('m'.repeat(51), {}), /metadata\.name must be at most 50/)
})

test('where message bytes are cannot be changed', async () => {
  await server('with-bucket', { storage: { s3 } })
  await server('without', {})
  const change = (name: string, storage: unknown) =>
    client.mergePatch(MailServerResource, { namespace, name }, { spec: { storage } })
  await assert.rejects(change('with-bucket', { s3: { bucket: 'other' } }), /bucket is immutable/)
  await assert.rejects(change('with-bucket', { s3: null }), /s3 can be neither added nor removed/)
  await assert.rejects(change('without', { s3 }), /s3 can be neither added nor removed/)
  await change('with-bucket', { s3: { endpoint: 'https://moved.example' } })
})

test('before anybody has looked, status says so (kstatus: in progress)', async () => {
  const { status } = await server('fresh', {})
  const { observedGeneration, conditions } = status as {
    observedGeneration: number
    conditions: { type: string; status: string }[]
  }
  assert.equal(observedGeneration, -1)
  assert.deepEqual(
    conditions.map(({ type, status: value }) => `${type}=${value}`),
    ['Ready=Unknown'],
  )
})

test('an account cannot be an alias of itself', async () => {
  const spec = { serverRef: { name: 's' }, address: 'a@example.org', aliases: ['a@example.org'] }
  const account = { apiVersion: API_VERSION, kind: 'MailAccount', metadata: { name: 'a', namespace }, spec }
  await assert.rejects(client.create(MailAccountResource, account), /the address itself cannot be an alias/)
})
