/** Emptying a bucket of S3 services: what goes, what stays, and that what is told of it is true. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ensureBucket } from './bucket.ts'
import { type BucketWishes, openBucketClient } from './client.ts'
import { emptyBucket } from './emptying.ts'
import { markerKey } from './ownership.ts'
import { between, keysOf, s3Services, versionsOf, wishesAt } from './testing/services.ts'

const never = new AbortController().signal
const services = await s3Services()
const [local] = services
if (!local) throw new Error('there is no local S3 service')

async function filled(wishes: BucketWishes, keys: readonly string[]) {
  const state = await ensureBucket(wishes)
  assert.ok(state.ok, state.message)
  const client = openBucketClient(wishes)
  for (const key of keys) await client.putObject(wishes.bucket, key, 'x')
  return client
}

for (const service of services) {
  const at = service.name

  test(`${at}: what is in the bucket goes, and then the bucket; twice does no harm`, async () => {
    const mine = wishesAt(service)
    const client = await filled(mine, ['a', 'b/c', 'b/ü &+?'])
    assert.deepEqual(await emptyBucket(mine, never), { outcome: 'removed' })
    assert.equal(await client.bucketExists(mine.bucket), false)
    assert.deepEqual(await emptyBucket(mine, never), { outcome: 'absent' })
  })

  test(`${at}: a shared bucket is left to the others in it`, async () => {
    const mine = wishesAt(service, { prefix: 'mine/' })
    await filled(mine, ['mine/a', 'theirs/b'])
    assert.deepEqual(await emptyBucket(mine, never), { outcome: 'emptied', why: 'other objects are in it' })
    assert.deepEqual(await keysOf(mine), ['theirs/b'])
  })

  test(`${at}: nothing is touched that is not marked as ours, and whose it is is told`, async () => {
    const mine = wishesAt(service)
    const client = openBucketClient(mine)
    await client.makeBucket(mine.bucket)
    await client.putObject(mine.bucket, 'holiday.jpg', 'x')
    assert.deepEqual(await emptyBucket(mine, never), { outcome: 'foreign', why: '.mail-operator-owner is not there' })
    await client.putObject(mine.bucket, markerKey(''), 'other/server')
    assert.deepEqual(await emptyBucket(mine, never), {
      outcome: 'foreign',
      why: '.mail-operator-owner names other/server',
    })
    assert.deepEqual((await keysOf(mine)).sort(), [markerKey(''), 'holiday.jpg'])
  })

  test(`${at}: what another MailServer has marked below stays, however its keys are sorted`, async () => {
    const mine = wishesAt(service)
    const theirs = [markerKey('mail/'), 'mail/-first', 'mail/aa/x', 'mail/zz/y'].sort()
    const client = await filled(
      mine,
      ['a', 'mail.txt', 'mail/', 'zz'].filter((key) => !key.endsWith('/')),
    )
    // As it could come to be before marks above were looked for.
    for (const key of theirs) await client.putObject(mine.bucket, key, 'other/server')
    assert.deepEqual(await emptyBucket(mine, never), { outcome: 'emptied', why: 'other objects are in it' })
    assert.deepEqual((await keysOf(mine)).sort(), theirs)
  })

  test(`${at}: unfinished uploads of ours are ended`, async () => {
    const mine = wishesAt(service, { prefix: 'mine/' })
    const client = await filled(mine, ['theirs/b'])
    const own = await client.initiateNewMultipartUpload(mine.bucket, 'mine/large', {})
    const other = await client.initiateNewMultipartUpload(mine.bucket, 'theirs/large', {})
    await emptyBucket(mine, never)
    await client.abortMultipartUpload(mine.bucket, 'theirs/large', other)
    if (service.name === 'MinIO') return // lists uploads of one key only, and ends them by itself
    await assert.rejects(client.abortMultipartUpload(mine.bucket, 'mine/large', own), { code: 'NoSuchUpload' })
  })

  test(`${at}: more than one page`, async () => {
    const mine = wishesAt(service)
    await filled(mine, ['0', '007', '1/a', '1/b', '1/c', '1/d', '2', '3/x', '4'])
    assert.deepEqual(await emptyBucket(mine, never, 3), { outcome: 'removed' })
  })

  test(`${at}: every version and delete marker goes`, { skip: !service.versions && 'it has no versions' }, async () => {
    const mine = wishesAt(service, { versioning: true })
    const client = await filled(mine, ['a', 'a', 'b/c', 'd'])
    await client.removeObject(mine.bucket, 'd')
    await client.removeObject(mine.bucket, 'b/c')
    await client.putObject(mine.bucket, markerKey(''), mine.owner)
    assert.equal(await versionsOf(mine), 8)
    assert.deepEqual(await emptyBucket(mine, never, 2), { outcome: 'removed' })
    assert.equal(await client.bucketExists(mine.bucket), false)
  })

  test(`${at}: versions of others stay, those from before versioning was suspended go`, {
    skip: !service.versions && 'it has no versions',
  }, async () => {
    const mine = wishesAt(service, { versioning: true, prefix: 'mine/' })
    const client = await filled(mine, ['mine/a', 'mine/a', 'theirs/b', 'theirs/b'])
    await client.setBucketVersioning(mine.bucket, { Status: 'Suspended' })
    await client.putObject(mine.bucket, 'mine/a', 'x')
    assert.deepEqual(await emptyBucket(mine, never), { outcome: 'emptied', why: 'other objects are in it' })
    assert.equal(await versionsOf(mine), 2)
  })
}

test('an object that the service does not remove is an error with its name', async () => {
  const document =
    '<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>retained</Message></Error></DeleteResult>'
  const seen = await between(local, (line) =>
    /^POST .*[?&]delete/.test(line) ? { status: 200, body: document } : undefined,
  )
  const mine = wishesAt(seen)
  await filled(mine, ['a'])
  await assert.rejects(emptyBucket(mine, never), /1 of 1 objects stay, a: retained/)
  assert.deepEqual(await keysOf(mine), [markerKey(''), 'a'])
})

test('a service that says removed and still has it is not believed', async () => {
  const seen = await between(local, (line) =>
    /^POST .*[?&]delete/.test(line) ? { status: 200, body: '<DeleteResult></DeleteResult>' } : undefined,
  )
  const mine = wishesAt(seen)
  await filled(mine, ['a'])
  await assert.rejects(emptyBucket(mine, never), /says that a is removed, and still lists it/)
})

test('a right that is missing is named, and nothing is called empty', async () => {
  const seen = await between(local, (line) =>
    /^GET .*[?&]versioning/.test(line) ? { status: 403, body: 'AccessDenied' } : undefined,
  )
  const mine = wishesAt(seen)
  await filled(mine, ['a'])
  await assert.rejects(emptyBucket(mine, never), /s3:GetBucketVersioning: AccessDenied/)
})

test('a service without versions and multipart uploads is emptied all the same', async () => {
  const seen = await between(local, (line) =>
    /^GET .*[?&](versioning|uploads)/.test(line) ? { status: 501, body: 'NotImplemented' } : undefined,
  )
  const mine = wishesAt(seen)
  await filled(mine, ['a'])
  assert.deepEqual(await emptyBucket(mine, never), { outcome: 'removed' })
})

test('a bucket that may not be removed stays empty, and that is told', async () => {
  const seen = await between(local, (line) =>
    /^DELETE \/[^/?]+\/?(\?|$)/.test(line) ? { status: 403, body: 'AccessDenied' } : undefined,
  )
  const mine = wishesAt(seen)
  await filled(mine, ['a'])
  const emptied = await emptyBucket(mine, never)
  assert.deepEqual(emptied, { outcome: 'emptied', why: 'it may not be removed (AccessDenied: no)' })
  assert.deepEqual(await keysOf(mine), [])
})

test('when the time is up it stops between two requests, and the next call goes on', async () => {
  const up = new AbortController()
  const seen = await between(local, (line) => {
    if (/^POST .*[?&]delete/.test(line)) up.abort(new Error('time is up'))
    return undefined
  })
  const mine = wishesAt(seen)
  await filled(mine, ['a', 'b'])
  assert.deepEqual(await emptyBucket(mine, up.signal), { outcome: 'unfinished', removed: 2 })
  assert.deepEqual(await keysOf(mine), [markerKey('')], 'still ours')
  assert.deepEqual(await emptyBucket(mine, never), { outcome: 'removed' })
})
