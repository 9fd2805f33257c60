import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { launchPostgres, PostgresFailed } from './launch.ts'

const logger = { debug() {}, warn() {} }

async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

test('a data directory that only its owner may reach keeps its rows between runs', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'launch-test-'))
  await chmod(home, 0o700)
  t.after(() => rm(home, { recursive: true, force: true }))
  const options = { dataDir: join(home, 'data'), superuserPassword: 'it’s "odd"/?', settings: { fsync: 'off' }, logger }
  {
    await using first = await launchPostgres(options)
    await ask(first.url(), 'create table t as select 42 as n')
  }
  await using second = await launchPostgres(options)
  assert.deepEqual(await ask(second.url(), 'select n from t'), [{ n: 42 }])
  await second.stop()
  assert.deepEqual(await second.exited, { code: 0, signal: null })
})

test('a setting Postgres does not know fails with its own words', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'launch-test-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const settings = { no_such_setting: 'on' }
  await assert.rejects(launchPostgres({ dataDir, superuserPassword: 'x', settings, logger }), (error) => {
    assert.ok(error instanceof PostgresFailed)
    assert.match(error.message, /unrecognized configuration parameter "no_such_setting"/)
    return true
  })
})
