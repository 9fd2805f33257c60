import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { engineConfigSchema } from '../config.ts'
import { Unavailable } from '../db/database.ts'
import { type Accounts, AddressTaken, UnknownDomain } from './accounts.ts'
import { verifyPassword } from './passwords.ts'
import { createAccounts } from './store.ts'

let store: TestStore
let accounts: Accounts
let time = Date.UTC(2026, 10, 23)
before(async () => {
  const domains = [{ name: 'example.org' }, { name: 'catch.example', catchAll: 'bob@example.org' }]
  store = await startTestStore({ config: { domains }, now: () => new Date(time) })
  accounts = store.accounts
})
after(() => store[Symbol.asyncDispose]())
beforeEach(() => {
  time += 3_600_000 // no cache from the test before
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

for (const [login, password, found] of [
  ['alice@example.org', 'alice-password', true],
  ['ALICE@Example.ORG', 'alice-password', true],
  ['ally@example.org', 'alice-password', true],
  ['alice@example.org', 'Alice-password', false],
  ['alice@example.org', '', false],
  ['nobody@example.org', '', false],
  ['alice', 'alice-password', false],
] as const) {
  test(`login of ${login} with ${JSON.stringify(password)} is ${found ? 'accepted' : 'refused'}`, async () => {
    assert.equal((await accounts.authenticate(login, password))?.id, found ? store.alice.id : undefined)
  })
}

test('a login that was remembered ends with a new password, on every replica', async () => {
  const replica = (await store.replica()).accounts
  const address = 'carol@example.org'
  await accounts.put({ address, aliases: [], password: 'old' })
  for (const one of [accounts, replica]) assert.ok(await one.authenticate(address, 'old'))
  await accounts.put({ address, aliases: [], password: 'new' })
  assert.equal(await accounts.authenticate(address, 'old'), undefined)
  await until(async () => (await replica.authenticate(address, 'old')) === undefined)
  assert.ok(await replica.authenticate(address, 'new'))
})

test('a disabled account cannot log in, even when a success is remembered, and still receives mail', async () => {
  const spec = { address: 'dora@example.org', aliases: ['dori@example.org'], password: 'secret' }
  await accounts.put(spec)
  assert.ok(await accounts.authenticate(spec.address, 'secret'))
  await accounts.put({ ...spec, disabled: true })
  assert.equal(await accounts.authenticate(spec.address, 'secret'), undefined)
  for (const address of [spec.address, 'dora+list@example.org', 'dori@example.org']) {
    const found = await accounts.resolve(address)
    assert.ok(found.kind === 'local' && found.account.disabled, address)
    assert.equal(found.account.address, spec.address)
  }
})

test('with the database away a remembered login holds, so that the method can say what is wrong; others are Unavailable', async () => {
  let away = false
  const query: typeof store.db.query = (text, values) =>
    away ? Promise.reject(new Unavailable('away')) : store.db.query(text, values)
  using own = createAccounts({
    db: { ...store.db, query },
    domains: () => engineConfigSchema.parse({ hostname: 'mx.example.org', domains: [{ name: 'example.org' }] }).domains,
    now: () => new Date(time),
  })
  assert.ok(await own.authenticate('alice@example.org', 'alice-password'))
  away = true
  assert.equal((await own.authenticate('alice@example.org', 'alice-password'))?.id, store.alice.id)
  await assert.rejects(own.authenticate('alice@example.org', 'wrong'), Unavailable)
  await assert.rejects(own.authenticate('bob@example.org', 'bob-password'), Unavailable)
})

test('putting an account again with the same password keeps its hash', async () => {
  const hash = async () =>
    (await store.db.query('select password_hash from account where address = $1', [store.bob.address]))[0]
  const before = await hash()
  const { created } = await accounts.put({ address: store.bob.address, aliases: [], password: 'bob-password' })
  assert.equal(created, false)
  assert.deepEqual(await hash(), before)
  await accounts.put({ address: store.bob.address, aliases: [] })
  assert.deepEqual(await hash(), before)
})

for (const [address, want] of [
  ['alice@example.org', { to: 'alice', detail: undefined }],
  ['Alice+Lists@Example.org', { to: 'alice', detail: 'lists' }],
  ['"alice"@example.org', { to: 'alice', detail: undefined }],
  ['ally+x+y@example.org', { to: 'alice', detail: 'x+y' }],
  ['anyone@catch.example', { to: 'bob', detail: undefined }],
  ['nobody@example.org', { kind: 'unknown' }],
  ['+@example.org', { kind: 'unknown' }],
  ['alice@example.com', { kind: 'foreign' }],
  ['alice@sub.example.org', { kind: 'foreign' }],
  ['alice', { kind: 'foreign' }],
] as const) {
  test(`${address} resolves to ${JSON.stringify(want)}`, async () => {
    const resolution = await accounts.resolve(address)
    if ('kind' in want) return assert.deepEqual(resolution, want)
    assert.ok(resolution.kind === 'local')
    assert.deepEqual([resolution.account.id, resolution.detail], [store[want.to].id, want.detail])
  })
}

test('a new account is found at once by the replica that had not found it before', async () => {
  const replica = (await store.replica()).accounts
  assert.deepEqual(await replica.resolve('erin@example.org'), { kind: 'unknown' })
  await accounts.put({ address: 'erin@example.org', aliases: [] })
  await until(async () => (await replica.resolve('erin@example.org')).kind === 'local')
})

for (const [address, allowed] of [
  ['alice@example.org', true],
  ['ally@example.org', true],
  ['alice+tag@example.org', true],
  ['ally+tag@example.org', true],
  ['bob@example.org', false],
  ['alice@catch.example', false],
  ['', false],
] as const) {
  test(`alice ${allowed ? 'may' : 'may not'} send as ${address || 'nobody'}`, async () => {
    assert.equal(await accounts.maySendAs(store.alice, address), allowed)
  })
}

test('an address that belongs to another account is refused, as account and as alias', async () => {
  await assert.rejects(accounts.put({ address: 'frank@example.org', aliases: ['ally@example.org'] }), AddressTaken)
  assert.equal(await accounts.find('frank@example.org'), undefined)
  await assert.rejects(accounts.put({ address: 'ally@example.org', aliases: [] }), AddressTaken)
})

test('an address outside of our domains is refused', async () => {
  await assert.rejects(accounts.put({ address: 'grace@example.com', aliases: [] }), UnknownDomain)
  await assert.rejects(accounts.put({ address: 'grace@example.org', aliases: ['nonsense'] }), UnknownDomain)
})

test('an account at a domain that is not served any more can log in and gets no mail (docs/backup-restore.md)', async () => {
  const { domains } = engineConfigSchema.parse({
    hostname: 'past.example.org',
    domains: [{ name: 'past.example.org' }],
  })
  using own = createAccounts({ db: store.db, domains: () => domains, now: () => new Date(time) })
  assert.equal((await own.authenticate('alice@example.org', 'alice-password'))?.id, store.alice.id)
  assert.deepEqual(await own.resolve('alice@example.org'), { kind: 'foreign' })
})

test('removing an account takes its mail along and frees its addresses', async () => {
  const { account } = await accounts.put({ address: 'heidi@example.org', aliases: ['hd@example.org'] })
  const raw = Buffer.from('Message-ID: <1@x>\r\nSubject: s\r\n\r\nbody')
  const item = {
    accountId: account.id,
    mailboxes: [{ role: 'inbox' as const }],
    keywords: [],
    receivedAt: new Date(),
    raw,
  }
  await store.mailstore.ingest([item])
  assert.equal(await accounts.remove('heidi@example.org'), true)
  assert.equal(await accounts.remove('heidi@example.org'), false)
  assert.deepEqual(await accounts.resolve('hd@example.org'), { kind: 'unknown' })
  const number = account.id.slice(1)
  for (const table of ['email', 'mailbox', 'thread_ref', 'change_log', 'account_state', 'account_address']) {
    assert.deepEqual(await store.db.query(`select from ${table} where account_id = $1`, [number]), [], table)
  }
  assert.equal((await store.db.query('select from membership')).length, 0)
})

test('mail for whom nobody knows is deferred until somebody has an account, then refused', async () => {
  await using empty = await startTestStore({ config: { domains: [{ name: 'example.org' }] } })
  for (const { address } of [empty.alice, empty.bob]) await empty.accounts.remove(address)
  const { accounts: others } = await empty.replica()
  await assert.rejects(others.resolve('carol@example.org'), new Unavailable('nobody has an account yet'))
  assert.deepEqual(await others.resolve('carol@example.net'), { kind: 'foreign' })
  await empty.accounts.put({ address: 'dave@example.org', aliases: [], password: 'secret' })
  await until(async () => (await others.resolve('dave@example.org')).kind === 'local')
  assert.deepEqual(await others.resolve('carol@example.org'), { kind: 'unknown' })
})

test('accounts are listed by address, a page at a time', async () => {
  const all = await accounts.list({ limit: 1000 })
  const first = await accounts.list({ limit: 2 })
  const rest = await accounts.list({ after: first.at(-1)?.address ?? '', limit: 1000 })
  assert.deepEqual([...first, ...rest], all)
  assert.equal(first[0]?.address, 'alice@example.org')
})

test('a hash of another format never matches', async () => {
  assert.equal(await verifyPassword('x', 'x'), false)
  assert.equal(await verifyPassword('x', '$argon2id$v=19$m=1$a$b'), false)
})
