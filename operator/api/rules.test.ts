/** What the API server itself refuses: the schema's bounds and CEL rules, on the local API or KUBECONFIG_UNDER_TEST. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestCluster } from '../mailserver/testing/cluster.ts'
import { API_VERSION, MailAccountResource, MailServerResource } from './group.ts'

const { client, namespace } = await openTestCluster()

const domains = [{ name: 'example.org' }]
const s3 = { bucket: 'mail', credentialsSecretRef: { name: 's3' } }
const store = { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } }
const source = { ...store, serverName: 'old-db' }
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
  ['an address for a host name', { hostname: '192.0.2.1' }, /spec\.hostname: .*should match/],
  ['an address for a domain', { domains: [{ name: '192.0.2.1' }] }, /spec\.domains\[0\]\.name: .*should match/],
  [
    'volumes of ten bytes',
    { database: { cnpg: { storage: { size: 10 } } } },
    /spec\.database\.cnpg\.storage\.size: .*must be from 1Mi to 1Ei/,
  ],
  [
    'a volume of nothing',
    { database: { cnpg: { walStorage: { size: '0' } } } },
    /spec\.database\.cnpg\.walStorage\.size: .*must be from 1Mi to 1Ei/,
  ],
  ...['mail engine:2', 'registry.example/Mail:2', 'https://registry.example/mail', 'mail:', 'mail@sha256:12'].map(
    (image): [string, Record<string, unknown>, RegExp] => [
      `an image that nothing can pull: ${image}`,
      { image },
      /spec\.image: .*should match/,
    ],
  ),
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
    'durability of nothing',
    { database: { cnpg: { instances: 1, dataDurability: 'required' } } },
    /dataDurability needs a synchronous standby/,
  ],
  [
    'an image and a catalog',
    { database: { cnpg: { imageName: 'a', imageCatalogRef: { name: 'b', major: 18 } } } },
    /at most one of imageName and imageCatalogRef/,
  ],
  [
    'two ends of a recovery',
    { database: { cnpg: { recovery: { ...source, targetTime: '2026-06-01T08:00:00Z', targetLSN: '0/1' } } } },
    /at most one of targetTime, targetLSN and targetName/,
  ],
  [
    'an end of a recovery that is no RFC 3339 time',
    { database: { cnpg: { recovery: { ...source, targetTime: '2026-06-01 08:00' } } } },
    /recovery\.targetTime/,
  ],
  [
    'a restore point of no backup',
    { database: { cnpg: { recovery: { ...source, targetName: 'before' } } } },
    /targetName needs backupID/,
  ],
  [
    'a recovery that archives where it may read',
    { database: { cnpg: { recovery: source, backup: store } } },
    /archives under a name of its own/,
  ],
  [
    'a recovery that archives where it reads',
    { database: { cnpg: { recovery: source, backup: { ...store, serverName: source.serverName } } } },
    /archives under a name of its own/,
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
  ...['0.0.0.0/00', '0.0.0.0/1', '10.0.0.0/7', '::/00', '::/0', '2000::/3', '10.0.0.0'].map(
    (network): [string, Record<string, unknown>, RegExp] => [
      `trust in ${network}`,
      { service: { proxyProtocol: { trustedNetworks: ['192.0.2.0/24', network] } } },
      /trustedNetworks.*(the whole address space cannot be trusted|should match)/,
    ],
  ),
  ...(
    [
      ['expire', { outbound: { expire: '999999999999999999999h' } }, /outbound\.expire.*must be from 1m to 8760h/],
      ['expire', { outbound: { expire: '8761h' } }, /outbound\.expire.*must be from 1m to 8760h/],
      ['no pause', { outbound: { retryDelays: ['1m', '0s'] } }, /retryDelays\[1\].*must be from 1s to 168h/],
      ['keys for an hour', { dkim: { rotation: { interval: '1h' } } }, /interval.*must be from 24h to 87600h/],
      [
        'a retry that cannot come in time',
        { spam: { greylisting: { delay: '2h', retryWindow: '1h' } } },
        /greylisting.*retryWindow must be longer than delay/,
      ],
      ['an interval in half minutes', { monitoring: { podMonitor: { interval: '1.5m' } } }, /interval.*should match/],
    ] as const
  ).map(([what, spec, says]): [string, Record<string, unknown>, RegExp] => [
    `nonsense in a duration: ${what}`,
    spec,
    says,
  ]),
  ...['...', '999.999.1.1', '1.1.1.1:0', 'dns.example'].map((resolver): [string, Record<string, unknown>, RegExp] => [
    `resolver ${resolver}`,
    { dns: { resolvers: [resolver] } },
    /resolvers\[0\].*should match/,
  ]),
  ...['-1', '1..2', 'Gi', '1e', '5gb'].map((cpu): [string, Record<string, unknown>, RegExp] => [
    `quantity ${cpu}`,
    { resources: { requests: { cpu } } },
    /requests.*should match/,
  ]),
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
  ['CAA without an issuer', { dns: { caa: { issuers: [] } } }, /spec\.dns\.caa\.issuers/],
  [
    'a CAA issuer that would end its string',
    { dns: { caa: { issuers: ['ca.example; accounturi=x"'] } } },
    /spec\.dns\.caa\.issuers\[0\]/,
  ],
  [
    'scheduled rotation of keys that nobody looks up',
    { dkim: { rotation: { interval: '2160h' } }, dns: { verify: false } },
    /spec: .*dkim\.rotation needs dns\.verify/,
  ],
  ['a negative number of replicas', { replicas: -1 }, /spec\.replicas/],
] as [string, Record<string, unknown>, RegExp][]) {
  test(`a MailServer with ${what} is refused by name of the field`, () => assert.rejects(server('bad', spec), says))
}

test('an image may have a port, a path, a tag and a digest', async () => {
  const digest = `sha256:${'0'.repeat(64)}`
  for (const [index, image] of [
    'mail',
    'localhost:5000/team/mail-operator:1.0_rc.1',
    `REGISTRY/mail__operator@${digest}`,
    `ghcr.io/openova-io/mail-operator:main@${digest}`,
  ].entries()) {
    await server(`image-${index}`, { image })
  }
})

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

test('a recovery is added and removed, not changed; the archive moves with one only', async () => {
  await server('restored', { database: { cnpg: { backup: store } } })
  const change = (cnpg: unknown) =>
    client.mergePatch(MailServerResource, { namespace, name: 'restored' }, { spec: { database: { cnpg } } })
  await assert.rejects(change({ backup: { serverName: 'new' } }), /only when a recovery is added/)
  await change({ backup: { serverName: 'new' }, recovery: source })
  await assert.rejects(change({ recovery: { targetTime: '2026-06-01T08:00:00Z' } }), /recovery cannot be changed/)
  await assert.rejects(change({ backup: { serverName: 'newer' } }), /only when a recovery is added/)
  await change({ instances: 5 })
  await assert.rejects(change({ recovery: null, backup: { serverName: null } }), /only when a recovery is added/)
  await change({ recovery: null })
  await assert.rejects(change({ backup: { serverName: null } }), /only when a recovery is added/)
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

const account = (name: string, spec: Record<string, unknown>) =>
  client.create(MailAccountResource, {
    apiVersion: API_VERSION,
    kind: 'MailAccount',
    metadata: { name, namespace },
    spec: { serverRef: { name: 's' }, address: `${name.slice(0, 20)}@example.org`, ...spec },
  })

for (const [what, spec, says] of [
  ['itself as alias', { aliases: ['bad@example.org'] }, /spec\.aliases: .*the address itself cannot be an alias/],
  ['an address that is none', { address: 'ann' }, /spec\.address: .*should match/],
  ['a dot too many', { address: '.ann@example.org' }, /spec\.address: .*should match/],
  ['two dots in a row', { aliases: ['ann..lee@example.org'] }, /spec\.aliases\[0\]: .*should match/],
  ['an address at a host', { address: 'ann@localhost' }, /spec\.address: .*should match/],
  ['a local part of 65', { address: `${'a'.repeat(65)}@example.org` }, /spec\.address: .*at most 64 characters/],
  [
    'a pattern as alias',
    { aliases: ['*@example.org'] },
    /spec\.aliases\[0\]: .*no pattern.*catchAll of the MailServer/,
  ],
  ['a quota of nothing', { quota: 0 }, /spec\.quota: .*must be from 1 to 1Pi/],
  ['a negative quota', { quota: -1 }, /spec\.quota: .*must be from 1 to 1Pi/],
  ['a quota of a tenth of a byte', { quota: '100m' }, /spec\.quota: .*must be from 1 to 1Pi/],
  ['a quota beyond all disks', { quota: '1Ei' }, /spec\.quota: .*must be from 1 to 1Pi/],
  ['a quota in no unit', { quota: '10GB' }, /spec\.quota: .*should match/],
] as [string, Record<string, unknown>, RegExp][]) {
  test(`a MailAccount with ${what} is refused by name of the field`, () => assert.rejects(account('bad', spec), says))
}

test('what people write for addresses and quotas passes', async () => {
  await account('ann', { address: "o'hara+tag@mail.example.org", quota: '10G', aliases: ['a.b@xn--bcher-kva.example'] })
  await account('bob', { quota: 5_000_000_000, aliases: [`${'a'.repeat(64)}@example.xn--p1ai`] })
})

test('an account whose password Secret could not have its name is refused', async () => {
  await assert.rejects(account('a'.repeat(245), {}), /metadata\.name must be at most 244 characters.*Secret/)
  await account('b'.repeat(244), {})
  await account('c'.repeat(253), { passwordSecretRef: { name: 'c' } })
})
