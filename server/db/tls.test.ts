import assert from 'node:assert/strict'
import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { launchPostgres, type RunningPostgres } from '../../operator/local/postgres/launch.ts'
import { testTls } from '../smtp/testing/certificate.ts'
import { Unavailable } from './database.ts'
import { openDatabase } from './pool.ts'

const logger = pino({ level: 'silent' })
let directory: string
let server: RunningPostgres
let caFile: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postgres-tls-'))
  const dataDir = join(directory, 'data')
  const launch = { dataDir, superuserPassword: 'secret', logger }
  await (await launchPostgres(launch)).stop() // makes the directory, which the key must lie in
  const { uid, gid } = await stat(dataDir)
  for (const [name, text] of [
    ['server.crt', testTls.cert],
    ['server.key', testTls.key],
  ] as const) {
    await writeFile(join(dataDir, name), text, { mode: 0o600 })
    await chown(join(dataDir, name), uid, gid)
  }
  server = await launchPostgres({
    ...launch,
    settings: { ssl: 'on', fsync: 'off', listen_addresses: '127.0.0.1,127.1.1.1' },
  })
  caFile = join(directory, 'ca.crt')
  await writeFile(caFile, testTls.cert)
})
after(async () => {
  await server.stop()
  await rm(directory, { recursive: true, force: true })
})

/** True when the connection is encrypted. */
async function connect(parameters: string, host = '127.0.0.1', more: { caFile?: string } = {}): Promise<boolean> {
  const url = `${server.url().replace('127.0.0.1', host)}${parameters}`
  await using db = await openDatabase({ url, connections: 1, logger, ...more })
  const [row] = await db.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
  return row?.ssl ?? false
}

test('verify-full accepts the name and the CA of sslrootcert', async () => {
  assert.equal(await connect(`?sslmode=verify-full&sslrootcert=${caFile}`), true)
})

test('verify-full without our CA is Unavailable, not a plain connection', async () => {
  await assert.rejects(connect('?sslmode=verify-full'), Unavailable)
})

test('verify-full refuses a name that is not in the certificate', async () => {
  await assert.rejects(connect(`?sslmode=verify-full&sslrootcert=${caFile}`, '127.1.1.1'), Unavailable)
})

test('a CA file beside the URL means verify-full', async () => {
  assert.equal(await connect('', '127.0.0.1', { caFile }), true)
})

test('require encrypts without verifying, as libpq does', async () => {
  assert.equal(await connect('?sslmode=require'), true)
})

test('a wrong password is Unavailable: it may just be rotated', async () => {
  await using db = await openDatabase({ url: server.url().replace('secret', 'wrong'), connections: 1, logger })
  await assert.rejects(db.query('select 1'), Unavailable)
})

test('a CA file that is missing is named', async () => {
  await assert.rejects(connect('', '127.0.0.1', { caFile: join(directory, 'missing.crt') }), /missing\.crt/)
})
