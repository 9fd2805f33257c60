import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Client } from 'minio'
import { freePorts } from '../../operator/local/free-port.ts'
import { type S3Server, startS3Server } from '../../operator/local/s3/server.ts'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { engineConfigSchema } from '../config.ts'
import { Unavailable } from '../db/database.ts'
import type { BucketConfig } from './bucket-client.ts'
import { collectBlobs } from './gc.ts'
import { blobIdOf } from './postgres.ts'
import { createS3Blobs, type S3Blobs } from './s3.ts'

const CREDENTIALS = { accessKey: 'engine-key', secretKey: 'engine-secret-key' }
const INLINE_MAX = 100
let directory: string
let server: S3Server
let bucket: Client
let store: TestStore
let blobs: S3Blobs

const bytesOf = (length: number) => randomBytes(length)
const keyOf = (id: string) => `mail/${id.slice(0, 2)}/${id}`
const exists = (id: string) =>
  bucket.statObject('messages', keyOf(id)).then(
    () => true,
    () => false,
  )

function configFor(endpoint: string, name = 'messages'): BucketConfig {
  const storage = { driver: 's3' as const, endpoint, bucket: name, prefix: 'mail/', inlineMaxBytes: INLINE_MAX }
  const config = engineConfigSchema.parse({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }], storage })
  assert.ok(config.storage.driver === 's3')
  return config.storage
}

async function writeCredentials({ accessKey, secretKey }: typeof CREDENTIALS): Promise<void> {
  await mkdir(join(directory, 's3'), { recursive: true })
  await writeFile(join(directory, 's3', 'accessKey'), accessKey)
  await writeFile(join(directory, 's3', 'secretKey'), `${secretKey}\n`)
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 's3-test-'))
  server = await startS3Server({ dir: join(directory, 'bucket'), port: 0, credentials: CREDENTIALS })
  bucket = new Client({ endPoint: '127.0.0.1', port: server.port, useSSL: false, region: 'us-east-1', ...CREDENTIALS })
  await bucket.makeBucket('messages')
  await writeCredentials(CREDENTIALS)
  store = await startTestStore({
    blobs: (db) => {
      blobs = createS3Blobs(db, configFor(server.url), directory)
      return blobs
    },
  })
})
after(async () => {
  await store[Symbol.asyncDispose]()
  blobs[Symbol.dispose]()
  await server.close()
  await rm(directory, { recursive: true, force: true })
})

test('large bytes lie in the bucket under their hash, small ones in Postgres', async () => {
  const [small, large] = [bytesOf(INLINE_MAX), bytesOf(INLINE_MAX + 1)]
  for (const bytes of [small, large]) {
    const id = await blobs.put(bytes)
    assert.equal(id, blobIdOf(bytes))
    assert.deepEqual(await blobs.get(id), bytes)
    assert.equal(await exists(id), bytes === large)
    assert.equal(blobs.placement(bytes.length), bytes === large ? 'external' : 'inline')
  }
  assert.equal(await blobs.get('0'.repeat(64)), undefined)
  await blobs.check()
})

test('mail of any size is stored, read and searched', async () => {
  const raws = [10, 10_000].map((length) =>
    Buffer.from(`Subject: s${length}\r\n\r\n${'word '.repeat(length)}needle${length}`),
  )
  const items = raws.map((raw) => ({
    accountId: store.alice.id,
    mailboxes: [{ role: 'inbox' as const }],
    keywords: [],
    receivedAt: new Date(),
    raw,
  }))
  const stored = await store.mailstore.ingest(items)
  for (const [index, { blobId }] of stored.entries())
    assert.deepEqual(await store.mailstore.readBlob(store.alice.id, blobId), raws[index])
  const inbox = await store.mailstore.mailboxByPath(store.alice.id, 'INBOX')
  const found = await store.mailstore.search(store.alice.id, inbox?.id ?? '', { body: 'needle10000' })
  assert.deepEqual(
    found.map(({ uid }) => uid),
    [2],
  )
})

test('an object that was damaged is never handed out', async () => {
  const id = await blobs.put(bytesOf(200))
  await bucket.putObject('messages', keyOf(id), 'something else')
  await assert.rejects(blobs.get(id), Unavailable)
})

test('credentials are read again when their files change', async () => {
  await writeCredentials({ ...CREDENTIALS, secretKey: 'not-the-secret' })
  await assert.rejects(createS3Blobs(store.db, configFor(server.url), directory).put(bytesOf(200)), Unavailable)
  const wrong = createS3Blobs(store.db, configFor(server.url), directory)
  await assert.rejects(wrong.check(), Unavailable)
  await writeCredentials(CREDENTIALS)
  const id = await wrong.put(bytesOf(201))
  assert.ok(await exists(id))
  wrong[Symbol.dispose]()
})

test('what is in the way is named: bucket, credentials, server', async () => {
  const noBucket = createS3Blobs(store.db, configFor(server.url, 'missing'), directory)
  await assert.rejects(noBucket.check(), { name: 'Unavailable', message: /bucket missing does not exist/ })
  const noFiles = createS3Blobs(store.db, configFor(server.url), join(directory, 'nowhere'))
  await assert.rejects(noFiles.check(), { name: 'Unavailable', message: /cannot read .*accessKey/ })
  // Not one the system gave and took back: those it gives to the next outgoing connection of any program.
  const [nobody] = await freePorts(1)
  const noServer = createS3Blobs(store.db, configFor(`http://127.0.0.1:${nobody}`), directory)
  await assert.rejects(noServer.check(), { name: 'Unavailable', message: /ECONNREFUSED/ })
  await assert.rejects(noServer.put(bytesOf(300)), Unavailable)
})

test('a server error that passes is not seen by the caller', async () => {
  let refusals = 2
  const flaky = createServer((request, response) => {
    request.resume()
    response.statusCode = refusals-- > 0 ? 503 : 200
    response.end()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => flaky.once('listening', resolve))
  const address = flaky.address()
  assert.ok(address && typeof address !== 'string')
  const client = createS3Blobs(store.db, configFor(`http://127.0.0.1:${address.port}`), directory)
  await client.put(bytesOf(400))
  assert.equal(refusals, -1)
  client[Symbol.dispose]()
  flaky.closeAllConnections()
  flaky.close()
})

test('the collector deletes what nothing refers to, and only after the grace period', async () => {
  const lost = await blobs.put(bytesOf(500))
  const lostInline = await blobs.put(bytesOf(50))
  const raw = Buffer.concat([Buffer.from('Subject: kept\r\n\r\n'), bytesOf(600)])
  const item = {
    accountId: store.bob.id,
    mailboxes: [{ role: 'inbox' as const }],
    keywords: [],
    receivedAt: new Date(),
    raw,
  }
  const [kept, deleted] = await store.mailstore.ingest([item, { ...item, raw: Buffer.concat([raw, Buffer.from('x')]) }])
  const upload = await store.mailstore.putUpload(store.bob.id, bytesOf(700))
  assert.equal(await collectBlobs(store.db, blobs, 3_600_000), 0)
  await store.mailstore.destroyEmails(store.bob.id, [deleted?.emailId ?? ''])
  await collectBlobs(store.db, blobs, 0)
  const here = async (id: string) => [await exists(id), (await blobs.get(id)) !== undefined]
  for (const id of [lost, deleted?.blobId ?? '']) assert.deepEqual(await here(id), [false, false])
  assert.equal(await blobs.get(lostInline), undefined)
  for (const id of [kept?.blobId ?? '', upload]) assert.deepEqual(await here(id), [true, true])
})

test('bytes stored again after they were collected are there again', async () => {
  const bytes = bytesOf(800)
  const id = await blobs.put(bytes)
  await collectBlobs(store.db, blobs, 0)
  assert.equal(await exists(id), false)
  await blobs.put(bytes)
  assert.deepEqual(await blobs.get(id), bytes)
})

test('a collector that died after deleting an object does not let it pass for stored', async () => {
  await collectBlobs(store.db, blobs, 0)
  const bytes = bytesOf(900)
  const id = await blobs.put(bytes)
  const dying = {
    async remove(lost: string) {
      await blobs.remove(lost)
      throw new Unavailable('died')
    },
  }
  await assert.rejects(collectBlobs(store.db, dying, 0), Unavailable)
  assert.equal(await exists(id), false)
  await blobs.put(bytes)
  assert.deepEqual(await blobs.get(id), bytes)
})
