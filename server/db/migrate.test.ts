import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { pino } from 'pino'
import { startTestPostgres, type TestPostgres } from '../../test/postgres.ts'
import { Unavailable } from './database.ts'
import { migrate } from './migrate.ts'
import { SchemaMismatch } from './migrations.ts'

const logger = pino({ level: 'silent' })
let postgres: TestPostgres
let client: pg.Client
let directory: string
before(async () => {
  postgres = await startTestPostgres()
  client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
})
after(async () => {
  await client.end()
  await postgres[Symbol.asyncDispose]()
})
beforeEach(async (t) => {
  directory = await mkdtemp(join(tmpdir(), 'migrations-'))
  await client.query('drop schema public cascade; create schema public')
  if ('after' in t) t.after(() => rm(directory, { recursive: true, force: true }))
})

const file = (name: string, sql: string) => writeFile(join(directory, name), sql)
const run = (deadlineMs?: number) =>
  migrate({ url: postgres.url, logger, directory, ...(deadlineMs !== undefined && { deadlineMs }) })

test('replicas that start together apply each migration once, in order', async () => {
  await file('0001_first.sql', 'create table first (n int); insert into first values (1)')
  await file('0002_second.sql', 'alter table first add column m int')
  const applied = await Promise.all([run(), run(), run()])
  assert.deepEqual(
    applied.filter((names) => names.length > 0),
    [['0001_first', '0002_second']],
  )
  assert.deepEqual((await client.query('select * from first')).rows, [{ n: 1, m: null }])
})

test('a migration that fails leaves nothing of itself, and is tried again', async () => {
  await file('0001_first.sql', 'create table first (n int); select 1/0')
  await assert.rejects(run(), /division by zero/)
  await file('0001_first.sql', 'create table first (n int)')
  assert.deepEqual(await run(), ['0001_first'])
})

test('a migration changed after it was applied is refused', async () => {
  await file('0001_first.sql', 'create table first (n int)')
  await run()
  await file('0001_first.sql', 'create table first (n bigint)')
  await assert.rejects(run(), SchemaMismatch)
})

for (const { compatible, outcome } of [
  { compatible: true, outcome: 'goes on when the newer migration only expands' },
  { compatible: false, outcome: 'is refused when the newer migration says so' },
]) {
  test(`an engine older than the schema ${outcome}`, async () => {
    await file('0001_first.sql', 'create table first (n int)')
    await file('0002_newer.sql', `${compatible ? '-- compatible: yes\n' : ''}create table second (n int)`)
    await run()
    await rm(join(directory, '0002_newer.sql'))
    if (compatible) assert.deepEqual(await run(), [])
    else await assert.rejects(run(), SchemaMismatch)
  })
}

test('waiting for another replica’s migration ends with Unavailable at the deadline', async () => {
  await file('0001_first.sql', 'create table first (n int)')
  await client.query('select pg_advisory_lock($1, 0)', [0x6d696772])
  await assert.rejects(run(50), Unavailable)
  await client.query('select pg_advisory_unlock($1, 0)', [0x6d696772])
  assert.deepEqual(await run(), ['0001_first'])
})

test('an index can be built concurrently, outside of a transaction', async () => {
  await file('0001_first.sql', 'create table first (n int)')
  await file('0002_index.sql', '-- transaction: no\ncreate index concurrently first_n on first (n)')
  assert.deepEqual(await run(), ['0001_first', '0002_index'])
})

test('the engine’s own migrations apply to an empty database', async () => {
  const applied = await migrate({ url: postgres.url, logger })
  assert.ok(applied.includes('0001_store'))
  assert.deepEqual(await migrate({ url: postgres.url, logger }), [])
})
