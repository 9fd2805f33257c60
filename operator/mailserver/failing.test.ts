/** What a MailServer says and what still works while the API refuses something: faults are put in front of a real API. */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { makeAuthority } from '../certificates/authority.ts'
import type { KubeApi } from '../kube/client.ts'
import { findCondition } from '../kube/conditions.ts'
import { type KubeError, kubeErrorOf } from '../kube/errors.ts'
import { Namespace, Secret, Service } from '../kube/resources.ts'
import type { ObjectKey, Resource } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const noSecrets = `${namespace}-no-secrets`
const noClusters = `${namespace}-no-clusters`
for (const name of [noSecrets, noClusters])
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

type Call = { verb: 'list' | 'apply'; resource: Resource; key: ObjectKey }
/** What each call is answered with instead; undefined lets it through. */
const faults = new Set<(call: Call) => KubeError | undefined>()
const { client: inner, writes, quiet } = await cluster.countingClient()
const faulty = (call: Call) => {
  for (const fault of faults) {
    const error = fault(call)
    if (error) throw error
  }
}
const operatorClient: KubeApi = {
  ...inner,
  async list(resource, options) {
    faulty({ verb: 'list', resource, key: { namespace: options?.namespace ?? '', name: '' } })
    return inner.list(resource, options)
  },
  async apply(resource, object, options) {
    const { namespace: of = '', name } = object.metadata
    if (!options.subresource) faulty({ verb: 'apply', resource, key: { namespace: of, name } })
    return inner.apply(resource, object, options)
  },
}
/** How far the operator's clock is ahead. */
let later = 0

const unreadable = new Map([
  ['secrets', noSecrets],
  ['clusters', noClusters],
])
const forbidden = ({ verb, resource: { plural }, key }: Call) =>
  verb === 'list' && unreadable.get(plural) === key.namespace
    ? kubeErrorOf(`list ${plural}`, 403, { kind: 'Status', reason: 'Forbidden', message: `${plural} is forbidden` })
    : undefined
faults.add(forbidden)

const operator = prepareOperator(
  { namespaces: [noSecrets, noClusters, namespace], engineImage: 'engine:1.2.3', identity: 'test', resyncMs: 600_000 },
  {
    client: operatorClient,
    now: () => new Date(Date.now() + later),
    verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const condition = (server: MailServer, type: string) => findCondition(server.status?.conditions, type)
const untilIn = (home: string, is: (server: MailServer) => boolean, what: string) =>
  cluster.eventually(async () => {
    const found = await client.get<MailServer>(MailServerResource, { namespace: home, name: 'shut' })
    return is(found) && found
  }, what)

test('a namespace that may not be read keeps no other one from being served', async () => {
  await cluster.mailServer('open')
  await cluster.until('open', isReady, 'open to be Ready')
})

const skip = cluster.local ? false : 'the operator has no rights in other namespaces there'
test('its own MailServers say what cannot be read', { skip }, async () => {
  for (const [home, plural] of [
    [noSecrets, 'secrets'],
    [noClusters, 'clusters'],
  ] as const) {
    await client.create(MailServerResource, {
      apiVersion: 'mail.openova.io/v1alpha1',
      kind: 'MailServer',
      metadata: { name: 'shut', namespace: home },
      spec: { hostname: `mail.${plural}.example`, domains: [{ name: `${plural}.example` }] },
    })
    const isFailing = (found: MailServer) => condition(found, 'Reconciling')?.reason === 'ReconcileFailed'
    const server = await untilIn(home, isFailing, `ReconcileFailed for want of ${plural}`)
    const told = condition(server, 'Reconciling')?.message ?? ''
    assert.ok(told.startsWith(`list ${plural}: 403 Forbidden: ${plural} is forbidden`), told)
    assert.equal(condition(server, 'Ready')?.status, 'False')
    assert.equal(server.status?.observedGeneration, server.metadata.generation)
  }
})

const webhookDown = ({ verb, resource }: Call) =>
  verb === 'apply' && resource.kind === 'Cluster'
    ? kubeErrorOf('apply clusters', 500, {
        kind: 'Status',
        reason: 'InternalError',
        // The port is another one each time, as that of a new connection.
        message: `failed calling webhook "mcluster.cnpg.io": read tcp 10.0.0.1:${nextPort++}->10.0.0.2:443: reset`,
      })
    : undefined
let nextPort = 40_000

test('one object that cannot be applied now keeps no other one back, and the status says so once', async () => {
  faults.add(webhookDown)
  await cluster.mailServer('webhook')
  const isFailing = (found: MailServer) => condition(found, 'Reconciling')?.reason === 'ReconcileFailed'
  const server = await cluster.until('webhook', isFailing, 'ReconcileFailed')
  assert.match(condition(server, 'Reconciling')?.message ?? '', /failed calling webhook "mcluster\.cnpg\.io"/)
  assert.match(condition(server, 'Ready')?.message ?? '', /^DatabaseReady: /)
  for (const name of ['webhook', 'webhook-http']) assert.ok(await cluster.get(Service, name), `Service ${name}`)

  const statuses = () => writes.filter((write) => write === 'apply MailServer/status webhook').length
  await quiet(operator)
  const { status: settled } = await client.get<MailServer>(MailServerResource, { namespace, name: 'webhook' })
  const before = statuses()
  const tries = nextPort
  for (let round = 0; round < 4; round++) {
    operator.controllers[0]?.queue.add({ namespace, name: 'webhook' })
    await cluster.eventually(async () => nextPort > tries + round, 'another try')
  }
  assert.equal(statuses(), before)
  assert.deepEqual((await client.get<MailServer>(MailServerResource, { namespace, name: 'webhook' })).status, settled)

  faults.delete(webhookDown)
  operator.controllers[0]?.queue.add({ namespace, name: 'webhook' })
  const ready = await cluster.until('webhook', isReady, 'webhook to be Ready')
  assert.equal(condition(ready, 'Reconciling'), undefined)
})

test('a running server stays Ready while a change of it fails, is mended meanwhile, and Stalled after a deadline', async () => {
  faults.add(webhookDown)
  const spec = { database: { cnpg: { instances: 2 } } }
  await client.mergePatch(MailServerResource, { namespace, name: 'webhook' }, { spec })
  const server = await cluster.until(
    'webhook',
    (found) => condition(found, 'Reconciling')?.reason === 'ReconcileFailed',
    'ReconcileFailed',
  )
  assert.equal(condition(server, 'Ready')?.status, 'True')
  assert.equal(server.status?.observedGeneration, server.metadata.generation)
  await client.delete(Service, { namespace, name: 'webhook-http' })
  await cluster.eventually(() => cluster.get(Service, 'webhook-http'), 'the Service to come back')

  later = 11 * 60_000
  operator.controllers[0]?.queue.add({ namespace, name: 'webhook' })
  const stalled = await cluster.until('webhook', (found) => condition(found, 'Stalled') !== undefined, 'Stalled')
  assert.equal(condition(stalled, 'Stalled')?.reason, 'ReconcileFailed')
  assert.equal(condition(stalled, 'Reconciling'), undefined)
  assert.equal(condition(stalled, 'Ready')?.status, 'True')

  faults.delete(webhookDown)
  operator.controllers[0]?.queue.add({ namespace, name: 'webhook' })
  const mended = await cluster.until(
    'webhook',
    (found) => condition(found, 'Stalled') === undefined,
    'no longer Stalled',
  )
  assert.equal(condition(mended, 'Ready')?.status, 'True')
  later = 0
})

const put = async (text: Record<string, string>) => {
  const data = Object.entries(text).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
  await client.mergePatch(Secret, { namespace, name: 'open-tls-ca' }, { data: Object.fromEntries(data) })
}
const putAuthority = (certificate: string, privateKey: string) =>
  put({ 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': certificate })
/** The authority of what is served, and what is said of it, once that is so. */
const untilAuthority = (reason: string, message: RegExp) =>
  cluster.until(
    'open',
    (found) => {
      const told = condition(found, 'CertificateReady')
      return told?.reason === reason && message.test(told.message)
    },
    `${reason} ${message}`,
  )
const textIn = async (name: string, key: string) =>
  Buffer.from((await client.get(Secret, { namespace, name })).data?.[key] ?? '', 'base64').toString()

test('a CA that somebody put into the Secret is used, and named where it cannot be', async () => {
  const read = (name: string) => readFileSync(join(import.meta.dirname, '../certificates/testdata', name), 'utf8')
  await putAuthority(read('secp256k1-ca.pem'), read('secp256k1-ca.key.pem'))
  const server = await cluster.until('open', (found) => condition(found, 'Stalled') !== undefined, 'Stalled')
  assert.equal(condition(server, 'CertificateReady')?.reason, 'AuthorityUnusable')
  assert.match(condition(server, 'CertificateReady')?.message ?? '', /Secret open-tls-ca has a key \(ec secp256k1\)/)
  await putAuthority(read('rsa-ca.pem'), read('rsa-ca.key.pem'))
  await cluster.until('open', isReady, 'open to be Ready')
  const secret = await client.get(Secret, { namespace, name: 'open-tls' })
  const served = new X509Certificate(Buffer.from(secret.data?.['tls.crt'] ?? '', 'base64'))
  assert.equal(served.verify(new X509Certificate(read('rsa-ca.pem')).publicKey), true)
})

test('a CA of somebody is never written over: with less than a year left, half replaced, or ended', async () => {
  const DAY_MS = 86_400_000
  const started = Date.now()
  const lasting = (days: number) => makeAuthority('Corporate CA', new Date(started - (3650 - days) * DAY_MS))
  const untilSigned = (authority: { certificate: string }) =>
    cluster.eventually(async () => {
      const served = await textIn('open-tls', 'tls.crt')
      return new X509Certificate(served).verify(new X509Certificate(authority.certificate).publicKey)
    }, 'a certificate of it')
  const yearly = await lasting(364)
  await putAuthority(yearly.certificate, yearly.privateKey)
  await untilSigned(yearly)
  assert.equal(await textIn('open-tls-ca', 'tls.key'), yearly.privateKey)

  // One after the other, as cp and kubectl edit do.
  const next = await lasting(100)
  const served = await textIn('open-tls', 'tls.crt')
  await put({ 'tls.crt': next.certificate })
  await untilAuthority('AuthorityUnusable', /Secret open-tls-ca has a tls.key that is not the key of its tls.crt/)
  assert.equal(await textIn('open-tls', 'tls.crt'), served, 'what is served stays')
  await put({ 'tls.key': next.privateKey })
  await untilSigned(next)
  await untilAuthority('SelfSigned', /./)
  const settled = await textIn('open-tls', 'tls.crt')
  operator.controllers[0]?.queue.add({ namespace, name: 'open' })
  await quiet(operator)
  assert.equal(await textIn('open-tls', 'tls.crt'), settled, 'not issued again and again until its end')

  const ended = await lasting(-1)
  await putAuthority(ended.certificate, ended.privateKey)
  await untilAuthority('AuthorityUnusable', /Secret open-tls-ca ended /)
  assert.equal(await textIn('open-tls-ca', 'tls.key'), ended.privateKey)

  await client.delete(Secret, { namespace, name: 'open-tls-ca' })
  await untilAuthority('SelfSigned', /./)
  assert.match(new X509Certificate(await textIn('open-tls-ca', 'tls.crt')).subject, /^CN=CA of .*\/open$/)
})

test('a CA of ours is made anew when certificates from it would end early', async () => {
  const old = await makeAuthority(`CA of ${namespace}/open`, new Date(Date.now() - 3_300 * 86_400_000))
  await putAuthority(old.certificate, old.privateKey)
  await cluster.eventually(async () => (await textIn('open-tls-ca', 'tls.key')) !== old.privateKey, 'another CA')
})
