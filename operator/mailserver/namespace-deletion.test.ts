/** A MailServer whose whole namespace is deleted: Secrets, and a service in it, go before anything can be done. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { silentLogger } from '../kube/logger.ts'
import { Namespace, Secret } from '../kube/resources.ts'
import { type Operator, prepareOperator } from '../run.ts'
import { isReady, openTestCluster, playTheRest } from './testing/cluster.ts'

const { client, countingClient, eventually } = await openTestCluster()
/** Access keys that a bucket was emptied with, by bucket. */
const emptied = new Map<string, string>()
/** Buckets whose service went too. */
const unreachable = new Set<string>()
const log: string[] = []
/** How far the operator's clock is ahead. */
let later = 0

async function lead(): Promise<Operator> {
  const { client: own } = await countingClient()
  const operator = prepareOperator(
    { namespaces: [], engineImage: 'engine:1', identity: 'test' },
    {
      client: own,
      now: () => new Date(Date.now() + later),
      ensureBucket: async () => ({ ok: true, message: '' }),
      verifyDns: async () => [],
      emptyBucket: async ({ bucket, accessKey }) => {
        if (unreachable.has(bucket)) throw new Error('getaddrinfo ENOTFOUND minio')
        emptied.set(bucket, accessKey)
        return { outcome: 'removed' }
      },
      logger: {
        ...silentLogger,
        warn: (fields, text) => void log.push(`${(fields as { reason?: string }).reason}: ${text}`),
      },
    },
  )
  await operator.lead()
  return operator
}
let operator = await lead()
after(() => operator[Symbol.asyncDispose]())

/** A namespace of that name with a MailServer whose bucket has the same one. */
async function make(name: string): Promise<void> {
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const stop = playTheRest(client, { namespace: name }, true)
  after(stop)
  const data = { accessKey: Buffer.from(`key of ${name}`).toString('base64'), secretKey: 'Yg==' }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's3', namespace: name }, data })
  const s3 = { endpoint: 'https://s3.example.net', bucket: name, credentialsSecretRef: { name: 's3' } }
  await client.create(MailServerResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: MailServerResource.kind,
    metadata: { name: 'stalwart', namespace: name },
    spec: {
      hostname: 'mail.example.org',
      domains: [{ name: 'example.org' }],
      deletionPolicy: 'Delete',
      storage: { s3 },
    },
  })
  await eventually(async () => {
    const found = await client.find<MailServer>(MailServerResource, { namespace: name, name: 'stalwart' })
    return found && isReady(found)
  }, `the MailServer in ${name} to be Ready`)
}
const remove = (name: string) => client.delete(Namespace, { namespace: '', name })
const gone = (name: string) =>
  eventually(async () => !(await client.find(Namespace, { namespace: '', name })), `namespace ${name} to be gone`)

test('a bucket outside of it is removed with the keys of a Secret that is gone', async () => {
  await make('outside')
  await remove('outside')
  await gone('outside')
  assert.equal(emptied.get('outside'), 'key of outside')
})

test('an operator that never saw the Secret leaves the bucket, says so and lets go', async () => {
  await make('unseen')
  await operator[Symbol.asyncDispose]()
  await remove('unseen')
  await eventually(async () => !(await client.find(Secret, { namespace: 'unseen', name: 's3' })), 'the Secret to go')
  operator = await lead()
  await gone('unseen')
  assert.equal(emptied.has('unseen'), false)
  assert.deepEqual(
    log.filter((line) => line.includes('unseen')),
    [
      'BucketLeftBehind: Bucket unseen is left as it is: Secret s3 does not give access any more, and namespace unseen is being deleted',
    ],
  )
})

test('a bucket whose service is gone is given up after a minute, not ten', async () => {
  await make('inside')
  unreachable.add('inside')
  await remove('inside')
  await eventually(async () => log.some((line) => line.startsWith('BucketNotRemoved')), 'a first try')
  assert.ok(await client.find(MailServerResource, { namespace: 'inside', name: 'stalwart' }), 'it may be a hiccup')
  later += 61_000
  operator.controllers[0]?.queue.add({ namespace: 'inside', name: 'stalwart' })
  await gone('inside')
  assert.deepEqual(
    log.filter((line) => line.startsWith('BucketLeftBehind: Bucket inside')),
    [
      'BucketLeftBehind: Bucket inside is left as it is, because namespace inside is being deleted: getaddrinfo ENOTFOUND minio',
    ],
  )
})
