/** Requests, sessions and blobs over HTTP (RFC 8620). */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startJmap, USING } from './testing/jmap.ts'

const jmap = await startJmap({
  config: {
    limits: {
      jmapRequestBytes: 20_000,
      jmapUploadBytes: 1000,
      jmapCallsPerRequest: 4,
      authFailuresPerAddressPerHour: 3,
    },
  },
})
after(() => jmap[Symbol.asyncDispose]())

const post = (body: string, headers: Record<string, string> = { 'Content-Type': 'application/json' }) =>
  jmap.request('/jmap/api', { method: 'POST', headers, body })

test('the session leads back to the host that was asked (RFC 8620 §2)', async () => {
  const session = (await (await jmap.request('/.well-known/jmap')).json()) as Record<string, string>
  assert.equal(session.apiUrl, `${jmap.url}/jmap/api`)
  assert.equal(session.downloadUrl, `${jmap.url}/jmap/download/{accountId}/{blobId}/{name}?type={type}`)
  assert.equal(session.username, 'alice@example.org')
  assert.deepEqual(session.primaryAccounts, { [USING[1] ?? '']: jmap.alice, [USING[2] ?? '']: jmap.alice })
})

test('without a password: 401 and a challenge; with a wrong one as well', async () => {
  for (const headers of [{ Authorization: '' }, { Authorization: jmap.authorization('alice@example.org', 'wrong') }]) {
    const response = await jmap.request('/jmap/session', { headers })
    assert.equal(response.status, 401)
    assert.match(response.headers.get('WWW-Authenticate') ?? '', /^Basic /)
  }
})

test('web clients of other origins may ask (CORS)', async () => {
  const preflight = await fetch(`${jmap.url}/jmap/api`, { method: 'OPTIONS' })
  assert.equal(preflight.status, 204)
  assert.match(preflight.headers.get('Access-Control-Allow-Headers') ?? '', /Authorization/)
})

for (const [given, body, type, limit] of [
  ['no JSON', '{', 'notJSON', undefined],
  ['brackets without end', '['.repeat(15_000), 'notJSON', undefined],
  ['no request', '{"using":[]}', 'notRequest', undefined],
  [
    'a capability that we have not',
    '{"using":["urn:x"],"methodCalls":[["Core/echo",{},"a"]]}',
    'unknownCapability',
    undefined,
  ],
  [
    'too many calls',
    JSON.stringify({ using: USING, methodCalls: Array(5).fill(['Core/echo', {}, 'a']) }),
    'limit',
    'maxCallsInRequest',
  ],
  ['too large', ' '.repeat(20_001), 'limit', 'maxSizeRequest'],
] as const)
  test(`a request with ${given} is ${type} (RFC 8620 §3.6.1)`, async () => {
    const response = await post(body)
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('Content-Type'), 'application/problem+json')
    const problem = (await response.json()) as Record<string, unknown>
    assert.equal(problem.type, `urn:ietf:params:jmap:error:${type}`)
    assert.equal(problem.limit, limit)
  })

test('calls run in order; an error ends its own call only', async () => {
  const responses = await jmap.calls(
    ['Core/echo', { hello: 1 }, 'a'],
    ['No/such', {}, 'b'],
    ['Mailbox/get', { accountId: 'a999', ids: null }, 'c'],
    ['Mailbox/get', { accountId: jmap.alice, ids: null, properties: ['role'], extra: 1 }, 'd'],
  )
  assert.deepEqual(responses.slice(0, 3), [
    ['Core/echo', { hello: 1 }, 'a'],
    ['error', { type: 'unknownMethod' }, 'b'],
    ['error', { type: 'accountNotFound' }, 'c'],
  ])
  assert.equal(responses[3]?.[1].type, 'invalidArguments')
  assert.match(String(responses[3]?.[1].description), /extra/)
})

test('a method outside `using` is unknown', async () => {
  const response = await post(
    JSON.stringify({ using: USING.slice(0, 1), methodCalls: [['Mailbox/get', { accountId: jmap.alice }, 'a']] }),
  )
  assert.deepEqual(((await response.json()) as { methodResponses: unknown }).methodResponses, [
    ['error', { type: 'unknownMethod' }, 'a'],
  ])
})

test('an upload comes back byte by byte, with the type that is asked, and never as a page of ours', async () => {
  const bytes = Buffer.from([0, 1, 2, 255, 13, 10])
  const uploaded = await jmap.request(`/jmap/upload/${jmap.alice}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png' },
    body: bytes,
  })
  assert.equal(uploaded.status, 201)
  const { blobId, size, type } = (await uploaded.json()) as Record<string, unknown>
  assert.deepEqual([size, type], [6, 'image/png'])
  const path = `/jmap/download/${jmap.alice}/${blobId}/a%20b.png?type=text/html`
  const response = await jmap.request(path)
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes)
  assert.equal(response.headers.get('Content-Type'), 'text/html')
  assert.match(response.headers.get('Content-Disposition') ?? '', /^attachment; filename\*=utf-8''a%20b\.png$/)
  assert.match(response.headers.get('Content-Security-Policy') ?? '', /sandbox/)
  const bob = { Authorization: jmap.authorization('bob@example.org') }
  assert.equal((await jmap.request(path, { headers: bob })).status, 404, 'bob cannot read it')
})

for (const [given, body] of [
  ['announced', 'x'.repeat(1001)],
  ['not announced', ReadableStream.from(Array(20).fill(Buffer.alloc(100)))],
] as const)
  test(`an upload that is too large, ${given}, is refused as limit maxSizeUpload`, async () => {
    const init = { method: 'POST', body, duplex: 'half' }
    const response = await jmap.request(`/jmap/upload/${jmap.alice}/`, init as RequestInit)
    assert.equal(response.status, 400)
    assert.equal(((await response.json()) as Record<string, unknown>).limit, 'maxSizeUpload')
  })

test('the event source tells a change, and closes after it when asked (RFC 8620 §7.3)', async () => {
  const response = await jmap.request('/jmap/eventsource/?types=Email,Mailbox&closeafter=state&ping=0')
  assert.equal(response.headers.get('Content-Type'), 'text/event-stream; charset=utf-8')
  const { modSeq } = await jmap.deliver('Subject: hello\n\nx\n')
  const [event, id, data] = (await response.text()).trim().split('\n')
  assert.equal(event, 'event: state')
  const state = id?.slice(4)
  assert.ok(Number(state) >= modSeq)
  assert.deepEqual(JSON.parse(data?.slice(6) ?? ''), {
    '@type': 'StateChange',
    changed: { [jmap.alice]: { Email: state, Mailbox: state } },
  })
})

test('who comes back with an old state is told at once', async () => {
  const headers = { 'Last-Event-ID': '0' }
  const response = await jmap.request('/jmap/eventsource/?types=*&closeafter=state&ping=0', { headers })
  assert.match(await response.text(), /"EmailDelivery":"\d+"/)
})

test('an address that fails too often is turned away, whatever it says then', async () => {
  const headers = { Authorization: jmap.authorization('alice@example.org', 'guess') }
  for (const status of [401, 401, 429]) assert.equal((await jmap.request('/jmap/session', { headers })).status, status)
  const response = await jmap.request('/jmap/session')
  assert.equal(response.status, 429)
  assert.ok(response.headers.get('Retry-After'))
})

test('while shutting down: streams end, requests are told to go elsewhere', async () => {
  jmap.drain()
  const response = await jmap.request('/jmap/session')
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('Connection'), 'close')
})
