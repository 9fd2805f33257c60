/** The bucket against S3 services: made, claimed, configured. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { ensureBucket } from './bucket.ts'
import { type BucketWishes, openBucketClient } from './client.ts'
import { markerKey, prefixesAbove } from './ownership.ts'
import { between, keysOf, s3Services, wishesAt } from './testing/services.ts'

const reasonOf = async (given: BucketWishes) => {
  const state = await ensureBucket(given)
  return state.ok ? 'ok' : state.reason
}
const lifecycleOf = async (wishes: BucketWishes) => {
  const request = { method: 'GET', bucketName: wishes.bucket, query: 'lifecycle', headers: {} }
  return text(await openBucketClient(wishes).makeRequestAsync(request))
}

const services = await s3Services()
const [local] = services
if (!local) throw new Error('there is no local S3 service')

test('the prefixes above one', () => {
  assert.deepEqual(prefixesAbove(''), [])
  assert.deepEqual(prefixesAbove('mail/'), [''])
  assert.deepEqual(prefixesAbove('a/b/c/'), ['', 'a/', 'a/b/'])
})

for (const service of services) {
  const at = service.name

  test(`${at}: a missing bucket is made and marked; a second time nothing is in the way`, async () => {
    const mine = wishesAt(service)
    assert.equal(await reasonOf(mine), 'ok')
    assert.equal(await reasonOf(mine), 'ok')
    assert.deepEqual(await keysOf(mine), [markerKey('')])
  })

  test(`${at}: an empty bucket of somebody is adopted`, async () => {
    const mine = wishesAt(service)
    await openBucketClient(mine).makeBucket(mine.bucket)
    assert.equal(await reasonOf(mine), 'ok')
  })

  test(`${at}: a bucket that holds other things is left alone, and what to do is said`, async () => {
    const mine = wishesAt(service)
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

  test(`${at}: a bucket of another MailServer is not ours, under another prefix it is`, async () => {
    const theirs = wishesAt(service, { owner: 'other/server', prefix: 'other/' })
    const ours = { ...theirs, owner: 'communication/stalwart' }
    assert.equal(await reasonOf(theirs), 'ok')
    assert.equal(await reasonOf(ours), 'BucketNotOurs')
    assert.equal(await reasonOf({ ...ours, prefix: '' }), 'BucketNotOurs')
    assert.equal(await reasonOf({ ...ours, prefix: 'stalwart/' }), 'ok')
  })

  test(`${at}: nobody settles inside of what another MailServer has marked`, async () => {
    const theirs = wishesAt(service, { owner: 'other/server' })
    assert.equal(await reasonOf(theirs), 'ok')
    const inside = await ensureBucket({ ...theirs, owner: 'communication/stalwart', prefix: 'mail/deep/' })
    assert.ok(!inside.ok && inside.reason === 'BucketNotOurs')
    assert.match(inside.message, /belongs to MailServer other\/server \(object \.mail-operator-owner says so\)/)
    assert.deepEqual(await keysOf(theirs), [markerKey('')])
    // Below a mark of our own there is room.
    assert.equal(await reasonOf({ ...theirs, prefix: 'mail/' }), 'ok')
  })

  test(`${at}: lifecycle rules of others are kept as they are, and ours is put beside them once`, async () => {
    const seen = await between(service, () => undefined)
    const mine = wishesAt(seen)
    const client = openBucketClient(mine)
    await client.makeBucket(mine.bucket)
    // Numbers that are names, and the local server's only kind of rule.
    const foreign =
      '<Rule><ID>007</ID><Status>Enabled</Status><Filter><Prefix>0010/</Prefix></Filter>' +
      '<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>'
    const expiring =
      '<Rule><ID>007</ID><Status>Enabled</Status><Filter><Prefix>0010/</Prefix></Filter>' +
      '<Expiration><Days>3650</Days></Expiration></Rule>'
    const rule = service.versions ? expiring : foreign
    const body = Buffer.from(`<LifecycleConfiguration>${rule}</LifecycleConfiguration>`)
    const headers = { 'Content-MD5': createHash('md5').update(body).digest('base64') }
    await client.makeRequestAsyncOmit({ method: 'PUT', bucketName: mine.bucket, query: 'lifecycle', headers }, body)
    const puts = () => seen.requests.filter((line) => line.startsWith('PUT') && line.includes('?lifecycle')).length
    const before = puts()
    const state = await ensureBucket(mine)
    assert.ok(state.ok)
    const document = await lifecycleOf(mine)
    assert.match(document, /<ID>007<\/ID>/)
    assert.match(document, /<Prefix>0010\/<\/Prefix>/)
    assert.equal(puts(), before + 1)
    if (/no lifecycle rule/.test(state.message)) return // MinIO has no such rules and ends uploads by itself
    assert.match(document, /<ID>mail-operator-abort-incomplete-uploads<\/ID>/)
    assert.ok((await ensureBucket(mine)).ok)
    assert.equal(puts(), before + 1, 'nothing differs, nothing is written')
  })
}

test('wrong credentials are AccessDenied, and are not repeated in the message', async () => {
  const state = await ensureBucket(wishesAt(local, { secretKey: 'a-wrong-secret' }))
  assert.ok(!state.ok)
  assert.equal(state.reason, 'AccessDenied')
  assert.doesNotMatch(state.message, /a-wrong-secret/)
})

/** Nobody waits in a test before it is looked again. */
const lookTwice = (wishes: BucketWishes) => ensureBucket(wishes, undefined, [0])
const messageOfLoss = async (wishes: BucketWishes) => {
  const state = await lookTwice(wishes)
  assert.ok(!state.ok && state.reason === 'BucketLost', state.message)
  return state.message
}

for (const service of services) {
  const at = service.name

  test(`${at}: a bucket that should hold mail is not made anew, nor taken over empty; with its mark it is well`, async () => {
    const mine = wishesAt(service, { holdsMail: true })
    assert.match(await messageOfLoss(mine), /should hold the mail, does not exist any more/)
    const client = openBucketClient(mine)
    assert.equal(await client.bucketExists(mine.bucket), false)
    assert.equal(await reasonOf({ ...mine, holdsMail: false }), 'ok')
    assert.equal(await reasonOf(mine), 'ok')
    await client.removeObject(mine.bucket, markerKey(''))
    assert.match(await messageOfLoss(mine), /should hold the mail, is empty/)
    assert.deepEqual(await keysOf(mine), [])
  })

  test(`${at}: new mail in a bucket does not pass for the old, which its mark stands for`, async () => {
    const mine = wishesAt(service, { holdsMail: true })
    const client = openBucketClient(mine)
    await client.makeBucket(mine.bucket)
    await client.putObject(mine.bucket, 'ab/new-mail', 'x')
    assert.match(await messageOfLoss(mine), /has lost its mark: .* put "communication\/stalwart" into object/)
    await client.putObject(mine.bucket, markerKey(''), 'communication/stalwart')
    assert.equal(await reasonOf(mine), 'ok')
  })

  test(`${at}: another server's bucket where mail should be is not called lost`, async () => {
    const other = wishesAt(service, { owner: 'communication/other' })
    assert.equal(await reasonOf(other), 'ok')
    assert.equal(await reasonOf({ ...other, owner: 'communication/stalwart', holdsMail: true }), 'BucketNotOurs')
  })
}

test('a service that does not know of a bucket for a moment has not lost it', async () => {
  let missing = 1
  const mine = wishesAt(local)
  assert.equal(await reasonOf(mine), 'ok')
  const body = 'NoSuchBucket'
  const forgetful = await between(local, (request) => {
    if (request.startsWith('HEAD ')) return missing > 0 ? { status: 404, body: '' } : undefined
    return request.includes('list-type=2') && missing-- > 0 ? { status: 404, body } : undefined
  })
  const wishes = { ...mine, endpoint: forgetful.url, holdsMail: true }
  assert.equal((await lookTwice(wishes)).ok, true)
  missing = 2
  await messageOfLoss(wishes)
})

test('a proxy that has nobody behind it has not lost a bucket', async () => {
  const mine = wishesAt(local)
  assert.equal(await reasonOf(mine), 'ok')
  const proxy = await between(local, () => ({ status: 404, body: '<html><body>default backend - 404</body></html>' }))
  const state = await lookTwice({ ...mine, endpoint: proxy.url, holdsMail: true })
  assert.equal(!state.ok && state.reason, 'BucketRefused')
})

test('waiting to look again ends with the signal', async () => {
  const mine = wishesAt(local, { holdsMail: true })
  const asked = Promise.withResolvers<void>()
  const service = await between(local, (request) => void (request.includes('list-type=2') && asked.resolve()))
  const deadline = new AbortController()
  const state = ensureBucket({ ...mine, endpoint: service.url }, deadline.signal, [3_600_000])
  await asked.promise
  deadline.abort(new Error('the deadline is over'))
  assert.equal((await state).ok, false)
})

test('nobody there is EndpointUnreachable', async () => {
  assert.equal(await reasonOf(wishesAt(local, { endpoint: 'http://127.0.0.1:1' })), 'EndpointUnreachable')
})

test('something that is no S3 service is said to be', async () => {
  const other = createServer((_, response) => response.writeHead(500).end('<html>no</html>'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = other.address() as AddressInfo
    assert.equal(await reasonOf(wishesAt(local, { endpoint: `http://127.0.0.1:${port}` })), 'BucketRefused')
  } finally {
    other.close()
  }
})

for (const [what, refused, says] of [
  [
    'may not be read',
    { status: 403, body: 'AccessDenied' },
    /no lifecycle rule ends incomplete uploads \(AccessDenied/,
  ],
  ['are out of order just now', { status: 503, body: 'SlowDown' }, /no lifecycle rule ends incomplete uploads \(/],
  ['are unknown to the service', { status: 501, body: 'NotImplemented' }, /\(NotImplemented: no\)/],
  ['are answered with something else', { status: 200, body: '<html/>' }, /the answer is no LifecycleConfiguration/],
] as const) {
  test(`lifecycle rules that ${what} are not overwritten; that is a warning`, async () => {
    const seen = await between(local, (line) => (/^GET .*[?&]lifecycle/.test(line) ? refused : undefined))
    const state = await ensureBucket(wishesAt(seen))
    assert.ok(state.ok)
    assert.match(state.message, says)
    assert.deepEqual(
      seen.requests.filter((line) => line.startsWith('PUT') && line.includes('lifecycle')),
      [],
    )
  })
}

test('what the spec asks for and the service does not know is in the way, by name', async () => {
  for (const [more, says] of [
    [{ versioning: true }, /versioning: NotImplemented/],
    [{ encryption: 'AES256' }, /default encryption: NotImplemented/],
  ] as const) {
    const state = await ensureBucket(wishesAt(local, more))
    assert.ok(!state.ok && state.reason === 'BucketRefused')
    assert.match(state.message, says)
  }
})

test('an encryption that is set is looked at, not set again', async () => {
  let set = 0
  const document =
    '<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>' +
    '</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>'
  const seen = await between(local, (line) => {
    if (!/[?&]encryption/.test(line)) return undefined
    if (line.startsWith('PUT')) set += 1
    if (line.startsWith('PUT') || set > 0) return { status: 200, body: document }
    return { status: 404, body: 'ServerSideEncryptionConfigurationNotFoundError' }
  })
  const mine = wishesAt(seen, { encryption: 'AES256' })
  for (let look = 0; look < 3; look++) assert.equal(await reasonOf(mine), 'ok')
  assert.equal(set, 1)
})
