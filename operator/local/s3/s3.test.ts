import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { Client } from 'minio'
import { type S3Server, startS3Server } from './server.ts'

const credentials = { accessKey: 'local-access', secretKey: 'local-secret/with+signs' }
let dir: string
let server: S3Server
let client: Client

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 's3-test-'))
  server = await startS3Server({ dir, port: 0, credentials, onError: (error) => assert.fail(String(error)) })
  client = clientWith(credentials)
  await client.makeBucket('mail')
})
after(async () => {
  await server.close()
  await rm(dir, { recursive: true, force: true })
})

function clientWith(options: typeof credentials & { partSize?: number }): Client {
  return new Client({
    endPoint: '127.0.0.1',
    port: server.port,
    useSSL: false,
    ...options,
    pathStyle: true,
    retryOptions: { disableRetry: true },
  })
}

async function read(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function keys(bucket: string, prefix = '', recursive = true, startAfter = ''): Promise<string[]> {
  const found = []
  for await (const item of client.listObjectsV2(bucket, prefix, recursive, startAfter))
    found.push(item.name ?? item.prefix)
  return found
}

const withCode = (code: string) => (error: Error & { code?: string }) => {
  assert.equal(error.code, code)
  return true
}

test('an object comes back with its bytes, size, ETag and metadata', async () => {
  const data = randomBytes(300_000)
  const { etag } = await client.putObject('mail', 'a dir/ümläut+&(1).eml', data, data.length, {
    'X-Amz-Meta-Kind': 'raw',
  })
  assert.equal(etag, createHash('md5').update(data).digest('hex'))
  assert.deepEqual(await read(await client.getObject('mail', 'a dir/ümläut+&(1).eml')), data)
  const stat = await client.statObject('mail', 'a dir/ümläut+&(1).eml')
  assert.deepEqual([stat.size, stat.etag, stat.metaData.kind], [data.length, etag, 'raw'])
  const part = await client.getPartialObject('mail', 'a dir/ümläut+&(1).eml', 1000, 500)
  assert.deepEqual(await read(part), data.subarray(1000, 1500))
})

test('what is absent is told in S3 words', async () => {
  await assert.rejects(client.getObject('mail', 'nothing'), withCode('NoSuchKey'))
  await assert.rejects(client.statObject('mail', 'nothing'), withCode('NotFound'))
  await assert.rejects(client.putObject('no-such', 'x', 'y'), withCode('NoSuchBucket'))
  assert.equal(await client.bucketExists('no-such'), false)
  await client.removeObject('mail', 'nothing') // deleting what is not there is fine
})

test('a second bucket of the name is ours already; a full one is not deleted', async () => {
  await assert.rejects(client.makeBucket('mail'), withCode('BucketAlreadyOwnedByYou'))
  await client.makeBucket('full', 'eu-central-1')
  await client.putObject('full', 'a/b/c', 'x')
  await assert.rejects(client.removeBucket('full'), withCode('BucketNotEmpty'))
  await client.removeObject('full', 'a/b/c')
  await client.removeBucket('full')
  assert.equal(await client.bucketExists('full'), false)
})

test('a wrong secret or key is refused', async () => {
  await assert.rejects(
    clientWith({ ...credentials, secretKey: 'x'.repeat(10) }).listBuckets(),
    withCode('SignatureDoesNotMatch'),
  )
  await assert.rejects(
    clientWith({ ...credentials, accessKey: 'someone' }).listBuckets(),
    withCode('InvalidAccessKeyId'),
  )
  assert.equal((await fetch(`${server.url}/mail/x`)).status, 403)
})

test('listing follows byte order, delimiter and continuation, also beyond one page', async () => {
  await client.makeBucket('listing')
  const names = ['a-b', 'a/1', 'a/2/x', 'a/2/y', 'a0', 'b', '\u{1f600}/z', '\uff5e']
  for (const name of names) await client.putObject('listing', name, 'x')
  const inByteOrder = ['a-b', 'a/1', 'a/2/x', 'a/2/y', 'a0', 'b', '\uff5e', '\u{1f600}/z']
  assert.deepEqual(await keys('listing'), inByteOrder)
  assert.deepEqual((await keys('listing', '', false)).sort(), ['a-b', 'a/', 'a0', 'b', '\uff5e', '\u{1f600}/'].sort())
  assert.deepEqual(await keys('listing', 'a/', true, 'a/1'), ['a/2/x', 'a/2/y'])
  const found = []
  let token = ''
  do {
    const page = await client.listObjectsV2Query('listing', '', token, '', 3, '')
    found.push(...page.objects.map((object) => object.name))
    token = page.isTruncated ? page.nextContinuationToken : ''
  } while (token)
  assert.deepEqual(found, inByteOrder)
  await client.removeObjects('listing', names)
  assert.deepEqual(await keys('listing'), [])
})

test('a multipart upload becomes one object; an aborted one leaves nothing', async () => {
  const pieces = Array.from({ length: 176 }, () => randomBytes(65_536)) // as a file stream would come
  const data = Buffer.concat(pieces)
  const inParts = clientWith({ ...credentials, partSize: 5 * 1024 * 1024 })
  const { etag } = await inParts.putObject('mail', 'large', Readable.from(pieces), data.length)
  assert.match(etag, /^[0-9a-f]{32}-3$/)
  assert.ok(data.equals(await read(await client.getObject('mail', 'large'))))
  const id = await client.initiateNewMultipartUpload('mail', 'never', {})
  const listed = async (prefix: string) => (await client.listIncompleteUploadsQuery('mail', prefix, '', '', '')).uploads
  assert.deepEqual([(await listed('nev')).length, (await listed('other')).length], [1, 0])
  await client.abortMultipartUpload('mail', 'never', id)
  await assert.rejects(client.abortMultipartUpload('mail', 'never', id), withCode('NoSuchUpload'))
})

test('a presigned URL works until it is changed', async () => {
  await client.putObject('mail', 'shared', 'hello')
  const url = await client.presignedGetObject('mail', 'shared', 60)
  assert.equal(await (await fetch(url)).text(), 'hello')
  const changed = await fetch(url.replace('shared', 'large'))
  assert.equal(changed.status, 403)
  assert.match(await changed.text(), /<Code>SignatureDoesNotMatch<\/Code>/)
  const put = await client.presignedPutObject('mail', 'given', 60)
  assert.equal((await fetch(put, { method: 'PUT', body: 'given data' })).status, 200)
  assert.equal(String(await read(await client.getObject('mail', 'given'))), 'given data')
})

test('conditions: If-None-Match on put, If-Match and ranges on get', async () => {
  const { etag } = await client.putObject('mail', 'cond', 'one')
  const url = await client.presignedPutObject('mail', 'cond', 60)
  assert.equal((await fetch(url, { method: 'PUT', body: 'two', headers: { 'if-none-match': '*' } })).status, 412)
  const get = await client.presignedGetObject('mail', 'cond', 60)
  assert.equal((await fetch(get, { headers: { 'if-none-match': `"${etag}"` } })).status, 304)
  assert.equal((await fetch(get, { headers: { 'if-match': '"other"' } })).status, 412)
  const range = await fetch(get, { headers: { range: 'bytes=-2' } })
  assert.deepEqual([range.status, await range.text()], [206, 'ne'])
  assert.equal((await fetch(get, { headers: { range: 'bytes=9-' } })).status, 416)
})

test('configuration: what is carried out is kept, the rest is refused, never pretended', async () => {
  const lifecycle = {
    Rule: [
      {
        ID: 'abort',
        Status: 'Enabled',
        Filter: { Prefix: '' },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ],
  }
  await assert.rejects(client.getBucketLifecycle('mail'), withCode('NoSuchLifecycleConfiguration'))
  await client.setBucketLifecycle('mail', lifecycle as unknown as Parameters<Client['setBucketLifecycle']>[1])
  assert.match(JSON.stringify(await client.getBucketLifecycle('mail')), /AbortIncompleteMultipartUpload/)
  await assert.rejects(client.setBucketVersioning('mail', { Status: 'Enabled' }), withCode('NotImplemented'))
  assert.ok(!JSON.stringify((await client.getBucketVersioning('mail')) ?? {}).includes('Enabled'))
  await client.setBucketTagging('mail', { owner: 'stalwart' })
  assert.deepEqual(await client.getBucketTagging('mail'), [{ Key: 'owner', Value: 'stalwart' }])
})

test('an object written before a restart is there after it', async () => {
  await client.putObject('mail', 'kept', 'still here')
  await using again = await startS3Server({ dir, port: 0, credentials })
  const other = new Client({ endPoint: '127.0.0.1', port: again.port, useSSL: false, ...credentials, pathStyle: true })
  assert.equal(String(await read(await other.getObject('mail', 'kept'))), 'still here')
})

/** aws-chunked as the AWS SDKs send it, signed by the book rather than by our own functions. */
async function putChunked(key: string, chunks: string[], change: (body: string) => string = (body) => body) {
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const date = timestamp.slice(0, 8)
  const scope = `${date}/us-east-1/s3/aws4_request`
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  const signingKey = hmac(hmac(hmac(hmac(`AWS4${credentials.secretKey}`, date), 'us-east-1'), 's3'), 'aws4_request')
  const sign = (lines: string[]) => hmac(signingKey, lines.join('\n')).toString('hex')
  const length = chunks.join('').length
  const headers: Record<string, string> = {
    host: `127.0.0.1:${server.port}`,
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'x-amz-date': timestamp,
    'x-amz-decoded-content-length': String(length),
    'x-amz-trailer': 'x-amz-checksum-crc32c',
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    'PUT',
    `/mail/${key}`,
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    headers['x-amz-content-sha256'],
  ]
  let previous = sign(['AWS4-HMAC-SHA256', timestamp, scope, hash(canonical.join('\n'))])
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${previous}`
  let body = ''
  for (const chunk of [...chunks, '']) {
    previous = sign(['AWS4-HMAC-SHA256-PAYLOAD', timestamp, scope, previous, hash(''), hash(chunk)])
    body += `${chunk.length.toString(16)};chunk-signature=${previous}\r\n${chunk}${chunk ? '\r\n' : ''}`
  }
  const trailer = 'x-amz-checksum-crc32c:4waSgw==' // CRC-32C of "123456789" is 0xE3069283
  const trailerSigned = sign(['AWS4-HMAC-SHA256-TRAILER', timestamp, scope, previous, hash(`${trailer}\n`)])
  body += `${trailer}\r\nx-amz-trailer-signature:${trailerSigned}\r\n\r\n`
  return fetch(`${server.url}/mail/${key}`, {
    method: 'PUT',
    headers: { ...headers, authorization },
    body: change(body),
  })
}

test('a body in signed chunks with a trailing checksum is decoded, and refused when one byte differs', async () => {
  const stored = await putChunked('chunked', ['12345', '6789'])
  assert.equal(stored.status, 200, await stored.text())
  assert.equal(String(await read(await client.getObject('mail', 'chunked'))), '123456789')
  const changed = await putChunked('changed', ['12345', '6789'], (body) => body.replace('12345', '12346'))
  assert.match(await changed.text(), /<Code>SignatureDoesNotMatch<\/Code>/)
  const wrong = await putChunked('wrong', ['12345', '0000'])
  assert.match(await wrong.text(), /<Code>BadDigest<\/Code>/)
  const short = await putChunked('short', ['12345', '6789'], (body) => body.slice(0, 30))
  assert.match(await short.text(), /<Code>IncompleteBody<\/Code>/)
  assert.deepEqual(await keys('mail', 'changed'), [])
})
