/** The operator as a part: what it does outside of the Kubernetes API ends with its lead. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { API_VERSION, FINALIZER, MailAccountResource, MailServerResource } from './api/group.ts'
import type { MailServerSpecInput } from './api/mail-server-spec.ts'
import type { Emptied } from './bucket/emptying.ts'
import { leaderFence, NotLeading } from './kube/fence.ts'
import { Secret } from './kube/resources.ts'
import type { KubeObject, Resource } from './kube/types.ts'
import { openAdminApi } from './mailaccount/admin-api.ts'
import { isReady, openTestCluster } from './mailserver/testing/cluster.ts'
import { prepareOperator } from './run.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
let leader = true
let refused = 0
const fence = leaderFence(() => {
  if (!leader) refused += 1
  return leader
})

async function start(emptyBucket: (wishes: { bucket: string }, signal: AbortSignal) => Promise<Emptied>) {
  const { client: own } = await cluster.countingClient()
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1.2.3', identity: 'test' },
    {
      client: own,
      fence,
      ensureBucket: async ({ bucket }) => ({ ok: true, message: `bucket ${bucket} answers` }),
      emptyBucket,
      verifyDns: async () => [],
    },
  )
  await operator.lead()
  return operator
}

async function makeServer(name: string): Promise<void> {
  const s3 = { endpoint: 'http://127.0.0.1:1', bucket: name, credentialsSecretRef: { name: 's3' } }
  const spec: Partial<MailServerSpecInput> = { storage: { s3 }, deletionPolicy: 'Delete', dns: { verify: false } }
  await cluster.mailServer(name, spec)
  await cluster.until(name, isReady, `${name} to be Ready`)
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
await client.create(Secret, {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's3', namespace },
  data: { accessKey: base64('a'), secretKey: base64('b') },
})

test('a lead that is lost aborts the emptying of a bucket that is under way, and nothing waits for it', async () => {
  const begun = Promise.withResolvers<void>()
  let why: unknown
  const operator = await start((_, signal) => {
    begun.resolve()
    return new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        why = signal.reason
        reject(signal.reason)
      }),
    )
  })
  await makeServer('one')
  await client.delete(MailServerResource, { namespace, name: 'one' })
  await begun.promise
  leader = false
  await operator.stop(0)
  assert.match(String(why), /the work queue stops/)
})

test('buckets that take long to empty keep no other MailServer waiting', async () => {
  leader = true
  const begun = new Set<string>()
  const gate = Promise.withResolvers<Emptied>()
  await using _ = await start(({ bucket }) => {
    begun.add(bucket)
    return gate.promise
  })
  const names = ['large-1', 'large-2', 'large-3', 'large-4', 'large-5']
  for (const name of names) await makeServer(name)
  for (const name of names) await client.delete(MailServerResource, { namespace, name })
  await cluster.eventually(async () => begun.size === 2, 'two buckets to be emptied')
  await makeServer('beside')
  assert.equal(begun.size, 2, 'the others wait for their turn')
  gate.resolve({ outcome: 'removed' })
  for (const name of names) {
    await cluster.eventually(async () => !(await cluster.get(MailServerResource, name)), `${name} to go`)
  }
})

test('whoever does not lead empties no bucket, and whoever leads next does', async () => {
  leader = true
  const emptied: string[] = []
  const operator = await start(async ({ bucket }) => {
    emptied.push(bucket)
    return { outcome: 'removed' }
  })
  await makeServer('two')
  leader = false
  const before = refused
  await client.delete(MailServerResource, { namespace, name: 'two' })
  await cluster.eventually(async () => refused > before, 'the fence to be asked')
  assert.ok(!emptied.includes('two'))
  leader = true
  operator.controllers[0]?.queue.add({ namespace, name: 'two' })
  await cluster.eventually(async () => emptied.includes('two'), 'the bucket to be emptied')
  await operator.stop(0)
})

test('whoever does not lead asks an engine and changes nothing in it', async () => {
  const calls: string[] = []
  const engine = createServer((request, response) => {
    calls.push(request.method ?? '')
    response.writeHead(404).end('{}')
  })
  await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve))
  try {
    leader = false
    const api = openAdminApi(`http://127.0.0.1:${(engine.address() as AddressInfo).port}`, 'token', fence)
    assert.equal((await api.get('ann@example.org')).kind, 'absent')
    await assert.rejects(api.put({ address: 'ann@example.org', aliases: [], disabled: false }), NotLeading)
    await assert.rejects(api.remove('ann@example.org'), NotLeading)
    assert.deepEqual(calls, ['GET'])
    leader = true
    assert.equal((await api.remove('ann@example.org')).kind, 'absent')
  } finally {
    engine.close()
  }
})

test('objects in deletion whose operator is gone go by the patch that docs/install.md gives', async () => {
  const page = readFileSync(new URL('../docs/install.md', import.meta.url), 'utf8')
  const patches = [...page.matchAll(/ patch .*--type=merge --patch '(.+)'/g)].map(([, patch]) =>
    JSON.parse(patch ?? ''),
  )
  assert.equal(patches.length, 2)
  const spec = { serverRef: { name: 'gone' }, address: 'ann@example.org' }
  const stuck: [Resource, KubeObject['spec']][] = [
    [MailServerResource, { hostname: 'mail.example.org', domains: [{ name: 'example.org' }] }],
    [MailAccountResource, spec],
  ]
  for (const [index, [resource, wanted]] of stuck.entries()) {
    const key = { namespace, name: 'stuck' }
    const metadata = { ...key, finalizers: [FINALIZER] }
    await client.create(resource, { apiVersion: API_VERSION, kind: resource.kind, metadata, spec: wanted })
    await client.delete(resource, key)
    assert.ok((await client.get(resource, key)).metadata.deletionTimestamp)
    await client.mergePatch(resource, key, patches[index])
    assert.equal(await client.find(resource, key), undefined, resource.kind)
  }
})
