/** DKIM keys through a Kubernetes API: imported ones, and rotations that cannot go on. */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, test } from 'node:test'
import { MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { dkimKeyOf } from '../dkim/keys.ts'
import type { RecordState, VerifiedRecord } from '../dns/verify.ts'
import { findCondition } from '../kube/conditions.ts'
import { ConfigMap, Secret } from '../kube/resources.ts'
import type { KubeObject, Resource } from '../kube/types.ts'
import type { WatchEvent } from '../kube/watch.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const rsa = (modulusLength: number, type: 'pkcs1' | 'pkcs8' = 'pkcs8') =>
  generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type, format: 'pem' }).toString()
const ed25519 = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
/** Made before there are connections: a large key keeps the process busy for longer than they stay open. */
const IMPORTED = [
  ['an RSA key of 2048 bits, PKCS#8', 'pkcs8', 'mail2026', rsa(2048), 'rsa2048'],
  ['an RSA key of 2048 bits, PKCS#1', 'pkcs1', 's1.mail', rsa(2048, 'pkcs1'), 'rsa2048'],
  ['an RSA key of 1024 bits', 'small', 'old', rsa(1024), 'rsa2048'],
  ['an RSA key of 4096 bits', 'large', 'default', rsa(4096), 'rsa2048'],
  ['an Ed25519 key', 'curve', 'ed', ed25519(), 'ed25519'],
] as const

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted, writes, quiet } = await cluster.countingClient()
/** How far the operator's clock is ahead. */
let later = 0
/** What DNS shows of records by a part of their name; all others are published. */
const shown = new Map<string, { state: RecordState; found?: string }>()
/** When the operator's watches of Secrets go on telling. */
let secretsTell = Promise.resolve()
async function* told<T extends KubeObject>({ kind }: Resource, events: AsyncIterable<WatchEvent<T>>) {
  for await (const event of events) {
    if (kind === 'Secret') await secretsTell
    yield event
  }
}
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  {
    client: { ...counted, watch: (resource, options) => told(resource, counted.watch(resource, options)) },
    ensureBucket: async () => ({ ok: true, message: '' }),
    now: () => new Date(Date.now() + later),
    verifyDns: async ({ records }) =>
      records.map((record): VerifiedRecord => {
        const [, as] = [...shown].find(([part]) => record.name.includes(part)) ?? []
        return { ...record, ...(as ?? { state: 'Published' }) }
      }),
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const annotate = (name: string, annotations: Record<string, string | null>) =>
  client.mergePatch(MailServerResource, { namespace, name }, { metadata: { annotations } })
const change = (name: string, spec: Record<string, unknown>) =>
  client.mergePatch(MailServerResource, { namespace, name }, { spec })

/** As an ExternalSecret, a SealedSecret or Argo CD makes it. */
const importKey = (server: string, name: string, selector: string, pem: string, more: Record<string, string> = {}) =>
  client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace,
      labels: { 'mail.openova.io/server': server, 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: {
        'mail.openova.io/domain': cluster.domainOf(server),
        'mail.openova.io/selector': selector,
        ...more,
      },
    },
    data: { 'private.pem': Buffer.from(pem).toString('base64') },
  })

/** "mail2026 Active, 2026… Publishing": the RSA keys. */
const keysOf = (server: MailServer, algorithm = 'rsa2048') =>
  (server.status?.dkim?.keys ?? [])
    .filter((key) => key.algorithm === algorithm)
    .map(({ selector, state }) => `${selector.replace(/^\d{8}/, 'DATE')} ${state}`)
    .sort()
    .join(', ')
const look = (name: string) => operator.controllers[0]?.queue.add({ namespace, name })
const until = (name: string, is: (server: MailServer) => boolean, what: string) =>
  cluster.until(
    name,
    (server) => {
      look(name)
      return is(server)
    },
    what,
  )
const messageOf = (server: MailServer) => findCondition(server.status?.conditions, 'DKIMReady')?.message ?? ''
const signing = async (name: string) => {
  const text = (await client.get(ConfigMap, { namespace, name: `${name}-config` })).data?.['config.json'] ?? '{}'
  return (JSON.parse(text) as { domains: { dkim: { selector: string }[] }[] }).domains[0]?.dkim.map(
    ({ selector }) => selector,
  )
}
/** Reconciles again and again: nothing may be written. */
async function assertSettled(name: string): Promise<void> {
  await quiet(operator)
  const before = writes.length
  for (let round = 0; round < 4; round++) {
    look(name)
    await quiet(operator)
  }
  assert.deepEqual(writes.slice(before), [])
}

for (const [what, name, selector, pem, algorithm] of IMPORTED) {
  test(`${what}, imported before its server, signs at once and stays as it was`, async () => {
    const secret = await importKey(name, `our-${name}`, selector, pem)
    await cluster.mailServer(name)
    const server = await cluster.until(name, isReady, `${name} to be Ready`)
    assert.equal(keysOf(server, algorithm), `${selector} Active`)
    const domain = cluster.domainOf(name)
    assert.ok((await signing(name))?.includes(selector))
    const record = server.status?.dns?.records?.find((one) => one.name === `${selector}._domainkey.${domain}`)
    assert.equal(record?.value, dkimKeyOf(pem).txt)
    const kept = await client.get(Secret, { namespace, name: `our-${name}` })
    assert.deepEqual(kept.data, secret.data)
    assert.equal(kept.metadata.labels?.['app.kubernetes.io/managed-by'], 'Helm')
    assert.equal(kept.metadata.ownerReferences, undefined)
    assert.equal(await cluster.get(Secret, `${name}-dkim-${domain}-${selector}`), undefined, 'no second Secret')
    await assertSettled(name)
    await client.delete(MailServerResource, { namespace, name })
  })
}

test('a key that is imported together with its server signs at once, although the operator hears of it later', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  secretsTell = promise
  await importKey('together', 'our-together', 'mail2026', rsa(1024))
  await cluster.mailServer('together')
  const server = await cluster.until('together', (found) => keysOf(found) !== '', 'keys')
  resolve()
  assert.equal(keysOf(server), 'mail2026 Active')
  assert.equal(keysOf(await cluster.until('together', isReady, 'together to be Ready')), 'mail2026 Active')
  await assertSettled('together')
  await client.delete(MailServerResource, { namespace, name: 'together' })
})

for (const [what, name, reason, make, says] of [
  [
    'of an elliptic curve',
    'bad-curve',
    'KeyLeftOut',
    (server: string) =>
      importKey(
        server,
        'our-ec',
        'ec',
        generateKeyPairSync('ec', { namedCurve: 'P-256' })
          .privateKey.export({ type: 'pkcs8', format: 'pem' })
          .toString(),
      ),
    /Secret our-ec: DKIM knows RSA and Ed25519 keys, not ec/,
  ],
  [
    'of another algorithm than it says',
    'bad-name',
    'KeyUnusable',
    (server: string) => importKey(server, 'our-rsa', 'r', rsa(1024), { 'mail.openova.io/algorithm': 'ed25519' }),
    /Secret our-rsa: it is an rsa2048 key, ed25519 is needed/,
  ],
  [
    'with a selector that is none',
    'bad-selector',
    'KeyLeftOut',
    (server: string) => importKey(server, 'our-path', '../x', rsa(1024)),
    /Secret our-path: annotation mail\.openova\.io\/selector must be a selector/,
  ],
] as [string, string, string, (server: string) => Promise<KubeObject>, RegExp][]) {
  test(`a key ${what} is refused by name, and left alone`, async () => {
    const { data, metadata } = await make(name)
    await cluster.mailServer(name)
    const server = await cluster.until(name, (found) => reasonOf(found, 'DKIMReady') === reason, 'a refusal')
    assert.match(messageOf(server), says)
    assert.deepEqual((await client.get(Secret, { namespace, name: metadata.name })).data, data)
    await client.delete(MailServerResource, { namespace, name })
  })
}

test('a broken key beside others is left out by name: the others sign and rotate, and the server stays Ready', async () => {
  const algorithm = { 'mail.openova.io/algorithm': 'rsa2048' }
  // By name before the good one, so that the order of names does not decide.
  await importKey('beside', 'a-broken', 'broken', 'no key', algorithm)
  await importKey('beside', 'b-good', 'mail2026', rsa(1024), algorithm)
  await cluster.mailServer('beside')
  const server = await cluster.until('beside', isReady, 'beside to be Ready')
  assert.equal(keysOf(server), 'mail2026 Active')
  assert.deepEqual(await signing('beside'), ['mail2026', 'ed25519'])
  const dkim = findCondition(server.status?.conditions, 'DKIMReady')
  assert.equal(`${dkim?.status} ${dkim?.reason}`, 'False KeyLeftOut')
  assert.match(dkim?.message ?? '', /^Left out: Secret a-broken: .*\. 2 keys are in use$/)
  const ready = findCondition(server.status?.conditions, 'Ready')
  assert.equal(`${ready?.reason}: ${ready?.message}`, `KeyLeftOut: DKIMReady: ${dkim?.message}`)
  assert.equal(findCondition(server.status?.conditions, 'Stalled'), undefined)
  await assertSettled('beside')

  await annotate('beside', { 'mail.openova.io/rotate-dkim': 'please' })
  await until('beside', (found) => keysOf(found) === 'DATE Publishing, mail2026 Active', 'a rotation')
  later = 2 * 86_400_000
  await until('beside', (found) => keysOf(found) === 'DATE Active, mail2026 Retiring', 'the new key to sign')
  later = 0
  await client.delete(Secret, { namespace, name: 'a-broken' })
  const mended = await until('beside', (found) => reasonOf(found, 'DKIMReady') === 'KeysReady', 'it to be mended')
  assert.equal(reasonOf(mended, 'Ready'), 'Running')
  await client.delete(MailServerResource, { namespace, name: 'beside' })
})

test('a Secret under the name of a first key that lacks private.pem gets nothing written into it', async () => {
  const name = `named-dkim-${cluster.domainOf('named')}-default`
  const data = { 'tls.key': Buffer.from(rsa(1024)).toString('base64') }
  const metadata = { name, namespace, labels: { 'mail.openova.io/server': 'named' } }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata, data })
  await cluster.mailServer('named')
  const server = await cluster.until('named', (found) => reasonOf(found, 'DKIMReady') === 'KeyUnusable', 'a refusal')
  assert.ok(messageOf(server).includes(`Secret ${name}: it has no private.pem`), messageOf(server))
  assert.deepEqual((await client.get(Secret, { namespace, name })).data, data)
  await client.mergePatch(Secret, { namespace, name }, { data: { 'private.pem': data['tls.key'] } })
  await until('named', isReady, 'named to be Ready once it has one')
})

test('a key that is imported later is seen in DNS before it signs; the imported one is told when its time is over', async () => {
  await cluster.mailServer('late')
  await cluster.until('late', isReady, 'late to be Ready')
  shown.set('mail2026._domainkey', { state: 'Mismatch', found: 'name server 192.0.2.2: no such record' })
  await importKey('late', 'late-import', 'mail2026', rsa(2048))
  const waiting = await until(
    'late',
    (found) => keysOf(found) === 'default Active, mail2026 Publishing' && messageOf(found).includes('192.0.2.2'),
    'the imported key to wait',
  )
  assert.match(
    messageOf(waiting),
    /mail2026\._domainkey\.late\.example\.org \(since 20.*; name server 192\.0\.2\.2: no such/,
  )
  const key = waiting.status?.dkim?.keys?.find(({ selector }) => selector === 'mail2026')
  assert.equal(key?.waitsFor, 'DNS to show its record; name server 192.0.2.2: no such record')
  assert.deepEqual(await signing('late'), ['default', 'ed25519'])
  await assertSettled('late')

  later = 8 * 86_400_000
  const overdue = await until('late', (found) => reasonOf(found, 'DKIMReady') === 'RotationOverdue', 'patience to end')
  assert.equal(findCondition(overdue.status?.conditions, 'DKIMReady')?.status, 'True')

  shown.clear()
  await annotate('late', { 'mail.openova.io/reconcile-at': 'now' })
  const switched = await until('late', (found) => keysOf(found) === 'default Retiring, mail2026 Active', 'the switch')
  assert.match(switched.status?.dkim?.keys?.find(({ selector }) => selector === 'default')?.waitsFor ?? '', /^mail on/)

  await annotate('late', { 'mail.openova.io/rotate-dkim': 'please' })
  await until('late', (found) => keysOf(found).includes('DATE Publishing'), 'a key of ours')
  later += 8 * 86_400_000
  await until('late', (found) => keysOf(found) === 'DATE Active, mail2026 Retiring', 'ours to sign')
  later += 8 * 86_400_000
  await until('late', (found) => keysOf(found) === 'DATE Active', 'the imported one to be done with')
  const left = await client.get(Secret, { namespace, name: 'late-import' })
  assert.equal(left.metadata.annotations?.['mail.openova.io/dkim-state'], 'Retired')
  later = 0
  await client.delete(MailServerResource, { namespace, name: 'late' })
})

test('without verification no rotation begins, and what was asked for is done once there is', async () => {
  await cluster.mailServer('blind', { dns: { verify: false } })
  await cluster.until('blind', isReady, 'blind to be Ready')
  await annotate('blind', { 'mail.openova.io/rotate-dkim': 'please' })
  const told = await cluster.until(
    'blind',
    (found) => reasonOf(found, 'DKIMReady') === 'RotationNotVerified',
    'it to be told',
  )
  assert.match(messageOf(told), /rotation was asked for .* needs spec\.dns\.verify/)
  assert.equal(findCondition(told.status?.conditions, 'DKIMReady')?.status, 'True')
  assert.equal(keysOf(told), 'default Active')
  assert.equal(told.status?.dkim?.rotationRequest, undefined)
  await assertSettled('blind')

  shown.set('_domainkey', { state: 'Published' })
  await change('blind', { dns: { verify: true } })
  await until('blind', (found) => keysOf(found) === 'DATE Publishing, default Active', 'the rotation to begin')

  // Turned off while DNS shows the key, and when it could sign: what was found last must not switch anything.
  await until(
    'blind',
    (found) => found.status?.dkim?.keys?.some(({ waitsFor }) => waitsFor?.startsWith('resolvers to forget')) ?? false,
    'the record to be found',
  )
  await assertSettled('blind')
  later = 2 * 86_400_000 // no event tells the operator, which looks again after a minute
  await change('blind', { dns: { verify: false } })
  const halted = await until('blind', (found) => reasonOf(found, 'DKIMReady') === 'RotationNotVerified', 'a halt')
  assert.match(messageOf(halted), /spec\.dns\.verify is off, so nothing tells when DNS shows \d{8}\._domainkey/)
  await assertSettled('blind')
  const { status } = await client.get<MailServer>(MailServerResource, { namespace, name: 'blind' })
  assert.equal(
    status?.dkim?.keys?.find(({ state }) => state === 'Publishing')?.waitsFor,
    'spec.dns.verify, which is off',
  )
  assert.deepEqual(await signing('blind'), ['default', 'ed25519'])
  later = 0
})

test('a rotation that is asked for while the server is paused begins after the pause', async () => {
  await cluster.mailServer('asleep')
  await cluster.until('asleep', isReady, 'asleep to be Ready')
  await annotate('asleep', { 'mail.openova.io/paused': 'true', 'mail.openova.io/rotate-dkim': 'please' })
  await cluster.until('asleep', (found) => reasonOf(found, 'Ready') === 'Paused', 'the pause')
  await annotate('asleep', { 'mail.openova.io/paused': null })
  await cluster.until('asleep', (found) => keysOf(found).startsWith('DATE Publishing'), 'the rotation')
})
