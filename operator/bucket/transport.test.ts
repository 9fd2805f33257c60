/** S3 services that mean harm, or are out of order, at an endpoint that a tenant names. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { ensureBucket } from './bucket.ts'
import type { BucketWishes } from './client.ts'

/** A bucket at a service that says yes to HEAD, so that it exists, and to the rest what `answer` says. */
async function bucketAt(answer: RequestListener): Promise<BucketWishes> {
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'HEAD') response.writeHead(200).end()
    else answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    bucket: 'bucket',
    prefix: '',
    pathStyle: true,
    versioning: false,
    encryption: 'None',
    owner: 'communication/stalwart',
    holdsMail: false,
    accessKey: 'access',
    secretKey: 'secret-key',
  }
}

test('half of an answer and then silence ends with the signal, and the connection with it', async () => {
  const begun = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const wishes = await bucketAt((_, response) => {
    response.writeHead(200, { 'content-length': '20' }).write('co')
    response.once('close', gone.resolve)
    begun.resolve()
  })
  const deadline = new AbortController()
  const state = ensureBucket(wishes, deadline.signal)
  await begun.promise
  deadline.abort(new Error('the deadline is over'))
  const { ok, message } = await state
  assert.equal(ok, false)
  assert.match(message, /the deadline is over/)
  await gone.promise
})

test('no answer at all ends with the signal', async () => {
  const begun = Promise.withResolvers<void>()
  const wishes = await bucketAt(() => begun.resolve())
  const deadline = new AbortController()
  const state = ensureBucket(wishes, deadline.signal)
  await begun.promise
  deadline.abort(new Error('the deadline is over'))
  assert.match((await state).message, /the deadline is over/)
})

test('an answer without end is cut off and said', async () => {
  const wishes = await bucketAt((_, response) => {
    response.writeHead(404, { 'content-type': 'application/xml' })
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 20, ' ')));
    }
    response.on('drain', more)
    more()
  })
  const state = await ensureBucket(wishes)
  assert.ok(!state.ok)
  assert.match(state.message, /the answer is larger than 16777216 bytes/)
})
