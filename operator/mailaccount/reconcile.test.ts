/** MailAccounts against a Kubernetes API and a stand-in for the engine's admin API. */

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { FINALIZER, MailAccountResource, MailServerResource } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import { findCondition } from '../kube/conditions.ts'
import { EndpointSlice, Secret } from '../kube/resources.ts'
import { isReady, openTestCluster } from '../mailserver/testing/cluster.ts'
import { prepareOperator } from '../run.ts'
import type { AccountBody } from './admin-api.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
// A real API server refuses loopback addresses in EndpointSlices, so there the engine cannot be played here.
const skip = cluster.local ? false : 'the engine can be played on the local API only'

/** What the engine knows, and what it was asked. */
const engine = { accounts: new Map<string, AccountBody>(), calls: [] as string[], tokens: new Set<string>(), status: 0 }
const server = createServer(async (request, response) => {
  const address = decodeURIComponent(request.url?.split('/').at(-1) ?? '')
  engine.calls.push(`${request.method} ${address}`)
  engine.tokens.add(request.headers.authorization ?? '')
  const send = (status: number, body?: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(body && JSON.stringify(body))
  if (engine.status) return send(engine.status, { detail: 'not now' })
  if (request.method === 'DELETE') return send(engine.accounts.delete(address) ? 204 : 404)
  if (request.method === 'PUT') {
    const body = JSON.parse(await textOf(request)) as AccountBody
    const taken = [...engine.accounts.values()].some(
      (other) =>
        other.address !== address &&
        body.aliases.some((alias) => other.address === alias || other.aliases.includes(alias)),
    )
    if (taken) return send(409, { reason: 'AddressTaken', detail: 'an alias belongs to another account' })
    engine.accounts.set(address, body)
  }
  const found = engine.accounts.get(address)
  return found
    ? send(200, { account: { address, usedBytes: 5_000_000, quotaBytes: found.quotaBytes ?? null } })
    : send(404, { detail: 'no such account' })
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

const { client: counted, writes } = await cluster.countingClient()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  { client: counted, verifyDns: async () => [] },
)
after(async () => {
  await operator[Symbol.asyncDispose]()
  server.closeAllConnections()
  server.close()
})
await operator.lead()

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const make = (name: string, spec: Record<string, unknown>) =>
  client.create(MailAccountResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailAccount',
    metadata: { name, namespace },
    spec: { serverRef: { name: 'post' }, ...spec },
  })
const until = (name: string, reason: string) =>
  cluster.eventually(async () => {
    const found = await client.find<MailAccount>(MailAccountResource, { namespace, name })
    const ready = findCondition(found?.status?.conditions, 'Ready')
    return ready?.reason === reason && ready.observedGeneration === found?.metadata.generation ? found : undefined
  }, `${name} to be ${reason}`)
const change = (name: string, spec: Record<string, unknown>) =>
  client.mergePatch(MailAccountResource, { namespace, name }, { spec })

async function announceEngine(ready: boolean): Promise<void> {
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'post-http-1',
      namespace,
      labels: { 'kubernetes.io/service-name': 'post-http', 'mail.openova.io/server': 'post' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready } }],
    ports: [{ name: 'http', port: (server.address() as AddressInfo).port, protocol: 'TCP' }],
  }
  await client.apply(EndpointSlice, slice, { fieldManager: 'test' })
}

test('an account without its server waits, and says for what', async () => {
  await make('alice', {
    address: 'alice@example.org',
    aliases: ['post@example.org'],
    quota: '1Gi',
    displayName: 'Alice',
  })
  const account = await until('alice', 'ServerMissing')
  assert.match(findCondition(account.status?.conditions, 'Ready')?.message ?? '', /MailServer post does not exist/)
})

test('before the engine answers its password is there already', async () => {
  await cluster.mailServer('post')
  await cluster.until('post', isReady, 'post to be Ready')
  const account = await until('alice', 'ServerNotReady')
  assert.deepEqual(account.status?.passwordSecretRef, { name: 'alice-password', key: 'password' })
})

test('as soon as the engine answers it gets the account', { skip }, async () => {
  await announceEngine(true)
  const account = await until('alice', 'Applied')
  const secret = await client.get(Secret, { namespace, name: 'alice-password' })
  const password = Buffer.from(secret.data?.password ?? '', 'base64').toString()
  assert.match(password, /^[A-Za-z0-9]{24}$/)
  assert.deepEqual(engine.accounts.get('alice@example.org'), {
    address: 'alice@example.org',
    aliases: ['post@example.org'],
    displayName: 'Alice',
    quotaBytes: 1_073_741_824,
    disabled: false,
    password,
  })
  const token = Buffer.from(
    (await client.get(Secret, { namespace, name: 'post-admin' })).data?.token ?? '',
    'base64',
  ).toString()
  assert.deepEqual([...engine.tokens], [`Bearer ${token}`])
  assert.equal(account.status?.usedBytes, 5_000_000)
  assert.equal(account.status?.usage, '0%')
  assert.equal(JSON.stringify(account).includes(password), false)
})

test('a settled account asks nobody and writes nothing', { skip }, async () => {
  await sleep(200)
  const before = [engine.calls.length, writes.length]
  for (let round = 0; round < 5; round++) {
    operator.controllers[1]?.queue.add({ namespace, name: 'alice' })
    await sleep(20)
  }
  assert.deepEqual([engine.calls.length, writes.length], before)
})

test('a change reaches the engine', { skip }, async () => {
  await change('alice', { aliases: [], disabled: true })
  await cluster.eventually(async () => engine.accounts.get('alice@example.org')?.disabled, 'alice to be disabled')
  await until('alice', 'Applied')
})

test('a password of the user’s is used, and a new one follows', { skip }, async () => {
  const data = (text: string) => ({ secret: Buffer.from(text).toString('base64') })
  await make('bob', { address: 'bob@example.org', passwordSecretRef: { name: 'bob', key: 'secret' } })
  const waiting = await until('bob', 'SecretMissing')
  assert.match(findCondition(waiting.status?.conditions, 'Ready')?.message ?? '', /Secret bob with key secret/)
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'bob', namespace },
    data: data('first'),
  })
  operator.controllers[1]?.queue.add({ namespace, name: 'bob' })
  await until('bob', 'Applied')
  assert.equal(engine.accounts.get('bob@example.org')?.password, 'first')
  await client.mergePatch(Secret, { namespace, name: 'bob' }, { data: data('second') })
  operator.controllers[1]?.queue.add({ namespace, name: 'bob' })
  await cluster.eventually(
    async () => engine.accounts.get('bob@example.org')?.password === 'second',
    'the new password',
  )
})

test('an address that is taken is Stalled', { skip }, async () => {
  await change('alice', { aliases: ['shared@example.org'] })
  await until('alice', 'Applied')
  await make('carol', { address: 'carol@example.org', aliases: ['shared@example.org'] })
  const account = await until('carol', 'AddressTaken')
  assert.equal(findCondition(account.status?.conditions, 'Stalled')?.reason, 'AddressTaken')
  await change('carol', { aliases: [] })
  await until('carol', 'Applied')
})

test('a domain that the server does not have is Stalled until it has it', { skip }, async () => {
  await make('dave', { address: 'dave@example.net' })
  await until('dave', 'UnknownDomain')
  const domains = [{ name: 'example.org' }, { name: 'example.net' }]
  await client.mergePatch(MailServerResource, { namespace, name: 'post' }, { spec: { domains } })
  await until('dave', 'Applied')
})

test('an engine in trouble is waited for', { skip }, async () => {
  engine.status = 503
  await make('erin', { address: 'erin@example.org' })
  await until('erin', 'EngineUnavailable')
  engine.status = 0
  operator.controllers[1]?.queue.add({ namespace, name: 'erin' })
  await until('erin', 'Applied')
})

test('deleting an account removes it from the engine', { skip }, async () => {
  await client.delete(MailAccountResource, { namespace, name: 'carol' })
  await cluster.eventually(async () => (await cluster.get(MailAccountResource, 'carol')) === undefined, 'carol to go')
  assert.equal(engine.accounts.has('carol@example.org'), false)
  await cluster.eventually(
    async () => (await cluster.get(Secret, 'carol-password')) === undefined,
    'her password to go',
  )
})

test('with deletionPolicy Retain the engine keeps it', { skip }, async () => {
  await change('erin', { deletionPolicy: 'Retain' })
  await cluster.eventually(
    async () => !(await cluster.get(MailAccountResource, 'erin'))?.metadata.finalizers?.includes(FINALIZER),
    'no finalizer',
  )
  await client.delete(MailAccountResource, { namespace, name: 'erin' })
  await cluster.eventually(async () => (await cluster.get(MailAccountResource, 'erin')) === undefined, 'erin to go')
  assert.equal(engine.accounts.has('erin@example.org'), true)
})

test('when the server is gone, accounts are orphaned and can be deleted', async () => {
  await client.delete(MailServerResource, { namespace, name: 'post' })
  await until('alice', 'ServerMissing')
  await client.delete(MailAccountResource, { namespace, name: 'alice' })
  await cluster.eventually(async () => (await cluster.get(MailAccountResource, 'alice')) === undefined, 'alice to go')
})

test('an address cannot be changed, a server neither', async () => {
  await make('frank', { address: 'frank@example.org' })
  for (const spec of [{ address: 'other@example.org' }, { serverRef: { name: 'other' } }]) {
    await assert.rejects(change('frank', spec), /is immutable/)
  }
})
