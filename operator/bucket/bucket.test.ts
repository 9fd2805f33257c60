/** The bucket against an S3 server: the local one, or any other that S3_UNDER_TEST (http://key:secret@host:port) names. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startS3Server } from '../local/s3/server.ts'
import { type BucketWishes, emptyBucket, ensureBucket, markerKey, openBucketClient } from './bucket.ts'

const given = process.env.S3_UNDER_TEST ? new URL(process.env.S3_UNDER_TEST) : undefined
const directory = await mkdtemp(join(tmpdir(), 'bucket-test-'))
const server = given
  ? undefined
  : await startS3Server({ dir: directory, port: 0, credentials: { accessKey: 'access', secretKey: 'secret-key' } })
after(async () => {
  await server?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

let count = 0
function wishes(more: Partial<BucketWishes> = {}): BucketWishes {
  return {
    endpoint: given ? given.origin : (server?.url ?? ''),
    region: 'us-east-1',
    bucket: `bucket-${process.pid}-${++count}`,
    prefix: '',
    pathStyle: true,
    versioning: false,
    encryption: 'None',
    owner: 'communication/stalwart',
    accessKey: given?.username ?? 'access',
    secretKey: given?.password ?? 'secret-key',
    ...more,
  }
}
const reasonOf = async (given: BucketWishes) => {
  const state = await ensureBucket(given)
  return state.ok ? 'ok' : state.reason
}
const keysOf = async ({ bucket, ...rest }: BucketWishes) => {
  const keys: (string | undefined)[] = []
  for await (const item of openBucketClient({ bucket, ...rest }).listObjectsV2(bucket, '', true)) keys.push(item.name)
  return keys
}

test('a missing bucket is made and marked; a second time nothing is in the way', async () => {
  const mine = wishes()
  assert.equal(await reasonOf(mine), 'ok')
  assert.equal(await reasonOf(mine), 'ok')
  assert.deepEqual(await keysOf(mine), [markerKey('')])
})

test('an empty bucket of somebody is adopted', async () => {
  const mine = wishes()
  await openBucketClient(mine).makeBucket(mine.bucket)
  assert.equal(await reasonOf(mine), 'ok')
})

test('a bucket that holds other things is left alone, and what to do is said', async () => {
  const mine = wishes()
  const client = openBucketClient(mine)
  await client.makeBucket(mine.bucket)
  await client.putObject(mine.bucket, 'holiday.jpg', 'x')
  const state = await ensureBucket(mine)
  assert.ok(!state.ok && state.reason === 'BucketNotOurs')
  assert.match(
    state.message,
    /holds objects of somebody else; to adopt it, put "communication\/stalwart" into object \.mail-operator-owner/,
  )
  assert.deepEqual(await keysOf(mine), ['holiday.jpg'])
  // And so it is adopted.
  await client.putObject(mine.bucket, markerKey(''), 'communication/stalwart')
  assert.equal(await reasonOf(mine), 'ok')
})

test('a bucket of another MailServer is not ours, under another prefix it is', async () => {
  const theirs = wishes({ owner: 'other/server', prefix: 'other/' })
  assert.equal(await reasonOf(theirs), 'ok')
  assert.equal(await reasonOf({ ...theirs, owner: 'communication/stalwart' }), 'BucketNotOurs')
  assert.equal(await reasonOf({ ...theirs, owner: 'communication/stalwart', prefix: 'stalwart/' }), 'ok')
})

test('wrong credentials are AccessDenied, and are not repeated in the message', async () => {
  const state = await ensureBucket(wishes({ secretKey: 'a-wrong-secret' }))
  assert.ok(!state.ok)
  assert.equal(state.reason, 'AccessDenied')
  assert.doesNotMatch(state.message, /a-wrong-secret/)
})

test('nobody there is EndpointUnreachable', async () => {
  assert.equal(await reasonOf(wishes({ endpoint: 'http://127.0.0.1:1' })), 'EndpointUnreachable')
})

test('something that is no S3 service is said to be', async () => {
  const other = createServer((_, response) => response.writeHead(500).end('<html>no</html>'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = other.address() as AddressInfo
    assert.equal(await reasonOf(wishes({ endpoint: `http://127.0.0.1:${port}` })), 'BucketRefused')
  } finally {
    other.close()
  }
})

test('deletion removes what is below the prefix and then the bucket; twice does no harm', async () => {
  const mine = wishes()
  await ensureBucket(mine)
  const client = openBucketClient(mine)
  for (const name of ['a', 'b/c']) await client.putObject(mine.bucket, name, 'x')
  await emptyBucket(mine, new AbortController().signal)
  assert.equal(await client.bucketExists(mine.bucket), false)
  await emptyBucket(mine, new AbortController().signal)
})

test('deletion leaves a shared bucket to the others in it', async () => {
  const mine = wishes({ prefix: 'mine/' })
  await ensureBucket(mine)
  const client = openBucketClient(mine)
  await client.putObject(mine.bucket, 'mine/a', 'x')
  await client.putObject(mine.bucket, 'theirs/b', 'x')
  await emptyBucket(mine, new AbortController().signal)
  assert.deepEqual(await keysOf(mine), ['theirs/b'])
})

test('deletion touches nothing that is not marked as ours', async () => {
  const mine = wishes()
  const client = openBucketClient(mine)
  await client.makeBucket(mine.bucket)
  await client.putObject(mine.bucket, 'holiday.jpg', 'x')
  await emptyBucket(mine, new AbortController().signal)
  assert.deepEqual(await keysOf(mine), ['holiday.jpg'])
})
