/** The program as Kubernetes runs it: its exit code, its one log line and its termination log, on a real Postgres. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { pino } from 'pino'
import { startTestPostgres, type TestPostgres } from '../test/postgres.ts'
import type { EngineConfigInput } from './config.ts'
import { migrate } from './db/migrate.ts'

let postgres: TestPostgres
let client: pg.Client
let root: string
before(async () => {
  postgres = await startTestPostgres()
  client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  root = await mkdtemp(join(tmpdir(), 'preflight-'))
  await mkdir(join(root, 'config'))
})
after(async () => {
  await rm(root, { recursive: true, force: true })
  await client.end()
  await postgres[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await client.query('drop schema public cascade; create schema public')
  await writeConfig({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }] })
})

const writeConfig = (document: EngineConfigInput | object) =>
  writeFile(join(root, 'config/config.json'), JSON.stringify(document))

/** Runs to its end. @returns the exit code, and what it said: in the log and, the same, in the termination log */
async function preflight(env: Record<string, string | undefined> = {}, ...args: string[]) {
  const terminationLog = join(root, 'termination-log')
  await writeFile(terminationLog, '')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'preflight.ts'), ...args], {
    env: {
      PATH: process.env.PATH,
      STALWART_DATABASE_URL: postgres.url,
      MAIL_ROOT: root,
      MAIL_TERMINATION_LOG: terminationLog,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  assert.equal(stderr, '')
  const line = JSON.parse(stdout) // one line
  assert.equal(line.exitCode, exitCode)
  const words = await readFile(terminationLog, 'utf8')
  assert.equal(words, line.msg)
  return { exitCode, words }
}

const migrated = () => migrate({ url: postgres.url, logger: pino({ level: 'silent' }) })
const tables = async () =>
  (await client.query("select 1 from information_schema.tables where table_schema = 'public'")).rowCount

test('an empty database: the version can take over, and nothing is made there', async () => {
  const { exitCode, words } = await preflight()
  assert.equal(exitCode, 0)
  assert.match(words, /can take over\. Schema migrations that its first start applies: 0001_store, /)
  assert.equal(await tables(), 0)
})

test('a database with migrations still to come: they are named, and not applied', async () => {
  await migrated()
  await client.query('delete from schema_migration where version = 2')
  const { exitCode, words } = await preflight()
  assert.equal(exitCode, 0)
  assert.match(words, /applies: 0002_blob_orphan\.$/)
  assert.equal((await client.query('select 1 from schema_migration where version = 2')).rowCount, 0)
})

test('the same version: the schema stays as it is', async () => {
  await migrated()
  assert.deepEqual(await preflight(), { exitCode: 0, words: 'This version can take over. The schema stays as it is.' })
})

for (const compatible of [true, false]) {
  test(`a migration that this version does not know is 64 when it is ${compatible ? '' : 'not '}compatible`, async () => {
    await migrated()
    await client.query(
      "insert into schema_migration (version, name, checksum, compatible) values (9001, '9001_later', 'x', $1)",
      [compatible],
    )
    const { exitCode, words } = await preflight()
    assert.equal(exitCode, 64)
    assert.match(words, /does not know: 9001_later\. This would go back/)
  })
}

test('a migration that this version knows as something else is 64', async () => {
  await migrated()
  await client.query("update schema_migration set checksum = 'x' where version = 1")
  const { exitCode, words } = await preflight()
  assert.equal(exitCode, 64)
  assert.match(words, /not the ones this version knows by that name: 0001_store\.$/)
})

test('a configuration with a field that this version does not know is 65, and the field is named', async () => {
  await writeConfig({ hostname: 'mail.example.org', domains: [{ name: 'Example.org' }], limits: { later: 1 } })
  const { exitCode, words } = await preflight()
  assert.equal(exitCode, 65)
  assert.match(words, /"later"/)
  assert.match(words, /domains\[0\]\.name/)
})

test('a configuration that is no JSON is 65', async () => {
  await writeFile(join(root, 'config/config.json'), 'hostname: mail.example.org')
  assert.equal((await preflight()).exitCode, 65)
})

test('a missing configuration is 75, and the file is named', async () => {
  await rm(join(root, 'config/config.json'))
  const { exitCode, words } = await preflight()
  assert.equal(exitCode, 75)
  assert.match(words, /config\/config\.json/)
})

for (const [what, url] of [
  ['no database URL', undefined],
  ['a database URL that is none', 'postgres://mail:pa#ssword@db/mail'],
] as const) {
  test(`${what} is 75, and the variable is named without its value`, async () => {
    const { exitCode, words } = await preflight({ STALWART_DATABASE_URL: url })
    assert.deepEqual(
      { exitCode, words },
      { exitCode: 75, words: 'The environment is incomplete: STALWART_DATABASE_URL: must be a postgres:// URL' },
    )
  })
}

test('Postgres away for as long as it waits is 75, told without the password', async () => {
  const url = new URL(postgres.url)
  url.password = 'wrong-password'
  const { exitCode, words } = await preflight({ STALWART_DATABASE_URL: url.href }, '--wait-seconds=5')
  assert.equal(exitCode, 75)
  assert.match(words, /could not be looked at in time: database: password authentication failed/)
  assert.ok(!words.includes('wrong-password'))
})

test('Postgres that answers at the second attempt is in time', async () => {
  await migrated()
  const { hostname, port } = new URL(postgres.url)
  let connections = 0
  const proxy = createServer((socket) => {
    socket.on('error', () => {})
    connections += 1
    if (connections === 1) return socket.destroy()
    const upstream = connect(Number(port), hostname)
    upstream.on('error', () => socket.destroy())
    socket.pipe(upstream).pipe(socket)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    const url = new URL(postgres.url)
    url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
    assert.equal((await preflight({ STALWART_DATABASE_URL: url.href })).exitCode, 0)
    assert.equal(connections, 2)
  } finally {
    proxy.close()
  }
})
