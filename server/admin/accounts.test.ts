import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestPostgres } from '../../test/postgres.ts'
import { createAccounts } from '../accounts/store.ts'
import { Unavailable } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/pool.ts'
import { createHttpMetrics } from '../http/metrics.ts'
import { createHttpServer } from '../http/server.ts'
import { adminRoute } from './accounts.ts'
import { watchAdminToken } from './token.ts'

const log = pino({ level: 'silent' })
const resources = new AsyncDisposableStack()
after(() => resources.disposeAsync())
const postgres = resources.use(await startTestPostgres())
await migrate({ url: postgres.url, logger: log })
const db = resources.use(await openDatabase({ url: postgres.url, connections: 2, logger: log }))
const domains = ['example.org', 'example.xn--p1ai'].map((name) => ({ name, dkim: [] }))
const accounts = resources.use(createAccounts({ db, domains: () => domains, now: () => new Date() }))
const directory = await mkdtemp(join(tmpdir(), 'mail-admin-'))
resources.defer(() => rm(directory, { recursive: true }))
const file = join(directory, 'token')
const token = resources.use(await watchAdminToken({ file, log, intervalMs: 5 }))
const http = resources.use(createHttpServer({ metrics: createHttpMetrics(new Registry()), log }))
let away = false
http.routes.push({
  name: 'away',
  async handle() {
    if (away) throw new Unavailable('connection refused')
    return false
  },
})
http.routes.push(adminRoute({ accounts, token }))
const server = createServer().removeAllListeners('connection')
server.on('connection', (socket) => http.serve(socket, { remoteAddress: '127.0.0.1', peerAddress: '127.0.0.1' }))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
resources.defer(() => void server.close())
const address = server.address()
const base = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/admin/v1/accounts`

async function ask(method: string, path: string, body?: unknown, authorization = 'Bearer s3cret') {
  const init = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
  const response = await fetch(`${base}${path}`, { method, headers: { Authorization: authorization }, ...init })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) }
}

test('without a token file there is no admin API; with one, only its bearer gets in', async () => {
  assert.equal((await ask('GET', '')).status, 404)
  // As Kubernetes changes a mounted file: half a token would be one, too.
  await writeFile(`${file}.new`, 's3cret\n')
  await rename(`${file}.new`, file)
  while ((await ask('GET', '')).status === 404) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal((await ask('GET', '', undefined, 'Bearer other')).status, 401)
  assert.equal((await ask('GET', '', undefined, '')).status, 401)
  assert.deepEqual(await ask('GET', ''), { status: 200, body: { accounts: [] } })
})

test('an account is created, changed, listed and removed; each twice', async () => {
  const spec = { address: 'ann@example.org', aliases: ['a@example.org'], password: 'x', quotaBytes: 1000 }
  const account = { address: 'ann@example.org', disabled: false, quotaBytes: 1000, usedBytes: 0 }
  assert.deepEqual(await ask('PUT', '/ann@example.org', spec), { status: 201, body: { account } })
  assert.deepEqual(await ask('PUT', '/Ann%40example.org', spec), { status: 200, body: { account } })
  assert.deepEqual(await ask('GET', '/ann@example.org'), { status: 200, body: { account } })
  assert.deepEqual(await ask('GET', '?limit=1&after=a'), { status: 200, body: { accounts: [account] } })
  assert.deepEqual(await ask('GET', '?after=ann@example.org'), { status: 200, body: { accounts: [] } })
  assert.equal((await accounts.authenticate('ann@example.org', 'x'))?.address, 'ann@example.org')
  assert.equal((await ask('DELETE', '/ann@example.org')).status, 204)
  assert.equal((await ask('DELETE', '/ann@example.org')).status, 404)
  assert.equal((await ask('GET', '/ann@example.org')).status, 404)
})

test('what is wrong is said by field; what is taken by 409; what is away by 503', async () => {
  await ask('PUT', '/bob@example.org', { address: 'bob@example.org', aliases: ['b@example.org'], password: 'x' })
  const wrong = await ask('PUT', '/carl@example.org', { address: 'nobody', quotaBytes: -1, colour: 'red' })
  assert.equal(wrong.status, 422)
  assert.deepEqual(Object.keys(wrong.body?.fields ?? {}).sort(), ['(body)', 'address', 'quotaBytes'])
  const other = await ask('PUT', '/carl@example.org', { address: 'dora@example.org' })
  assert.deepEqual([other.status, other.body?.fields], [422, { address: 'must be the one in the path' }])
  const taken = await ask('PUT', '/carl@example.org', { address: 'carl@example.org', aliases: ['b@example.org'] })
  assert.deepEqual([taken.status, taken.body?.reason], [409, 'AddressTaken'])
  const foreign = await ask('PUT', '/carl@elsewhere.example', { address: 'carl@elsewhere.example' })
  assert.deepEqual([foreign.status, foreign.body?.reason], [422, 'UnknownDomain'])
  assert.equal((await ask('PUT', '/carl@example.org', '{')).status, 400)
  assert.equal((await ask('POST', '/carl@example.org', '{}')).status, 405)
  away = true
  assert.equal((await ask('GET', '')).status, 503)
  away = false
})

for (const address of ['ann@example.xn--p1ai', "o'hara+tag@example.org", 'a.b/c=d&e@example.org']) {
  test(`an account may be ${address}`, async () => {
    assert.equal((await ask('PUT', `/${encodeURIComponent(address)}`, { address, password: 'x' })).status, 201)
  })
}

for (const address of [
  '.ann@example.org',
  'a..b@example.org',
  'a b@example.org',
  'ann@localhost',
  'ann@-.example.org',
]) {
  test(`${address} is no address of an account`, async () => {
    const { status, body } = await ask('PUT', `/${encodeURIComponent(address)}`, { address, password: 'x' })
    assert.deepEqual([status, body?.fields], [422, { address: 'must be an address like ann@example.org' }])
  })
}
