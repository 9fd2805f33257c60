/** A real PgBouncer in front, in session mode and with the settings that CloudNativePG's Pooler gives it (pkg/management/pgbouncer/config). */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { pino } from 'pino'
import { freePorts } from '../../operator/local/free-port.ts'
import { startTestPostgres, type TestPostgres } from '../../test/postgres.ts'
import { testTls } from '../smtp/testing/certificate.ts'
import { migrate } from './migrate.ts'
import { openDatabase } from './pool.ts'

const logger = pino({ level: 'silent' })
const NOBODY = 65534 // PgBouncer refuses to run as root
const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
const skip = spawnSync('pgbouncer', ['--version']).error ? 'no pgbouncer (Debian: pgbouncer)' : false

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

describe('behind PgBouncer', { skip }, () => {
  let postgres: TestPostgres
  let directory: string
  let port: number
  let pooler: ChildProcess
  let url: string

  /** One server connection, so that every client gets the one that another has used before. */
  async function configure(): Promise<void> {
    const { hostname, port: behind, username, password } = new URL(postgres.url)
    const settings = {
      pool_mode: 'session',
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'hba',
      auth_hba_file: join(directory, 'pg_hba.conf'),
      auth_file: join(directory, 'userlist.txt'),
      client_tls_sslmode: 'require',
      client_tls_cert_file: join(directory, 'tls.crt'),
      client_tls_key_file: join(directory, 'tls.key'),
      ignore_startup_parameters: 'extra_float_digits,options',
      default_pool_size: 2, // the pool's and the listener's
      server_round_robin: 0,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
    for (const [name, text] of [
      ['pgbouncer.ini', `[databases]\n* = host=${hostname} port=${behind}\n[pgbouncer]\n${lines.join('\n')}\n`],
      ['pg_hba.conf', 'host all all 0.0.0.0/0 md5\n'],
      ['userlist.txt', `"${username}" "${password}"\n`],
      ['tls.crt', testTls.cert],
      ['tls.key', testTls.key],
    ] as const) {
      const path = join(directory, name)
      await writeFile(path, text, { mode: 0o600 })
      if (user.uid) await chown(path, user.uid, user.gid)
    }
    if (user.uid) await chown(directory, user.uid, user.gid)
  }

  async function start(): Promise<ChildProcess> {
    const child = spawn('pgbouncer', ['--quiet', join(directory, 'pgbouncer.ini')], { stdio: 'ignore', ...user })
    await until(() => {
      assert.equal(child.exitCode, null, 'pgbouncer does not start')
      return answers(port)
    })
    return child
  }

  async function end(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  before(async () => {
    postgres = await startTestPostgres()
    directory = await mkdtemp(join(tmpdir(), 'pgbouncer-'))
    const [free = 0] = await freePorts(1)
    port = free
    await configure()
    pooler = await start()
    const through = new URL(postgres.url)
    through.port = String(port)
    url = `${through.href}?sslmode=verify-full&sslrootcert=${join(directory, 'tls.crt')}`
  })
  after(async () => {
    await end(pooler)
    await rm(directory, { recursive: true, force: true })
    await postgres[Symbol.asyncDispose]()
  })

  test('migrations run', async () => {
    assert.ok((await migrate({ url, logger })).length > 0)
    assert.deepEqual(await migrate({ url, logger }), [])
  })

  test('deadlines and the planner’s settings hold, and end with the client they are for', async () => {
    const session = `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
      current_setting('idle_in_transaction_session_timeout') as idle, current_setting('enable_bitmapscan') as bitmap,
      current_setting('plan_cache_mode') as plan, current_setting('application_name') as application, pg_backend_pid() as pid`
    let pid: unknown
    {
      await using db = await openDatabase({ url, connections: 1, logger })
      const [row] = await db.query<Record<string, unknown>>(session)
      pid = row?.pid
      assert.deepEqual(row, {
        statement: '30s',
        lock: '15s',
        idle: '1min',
        bitmap: 'off',
        plan: 'force_custom_plan',
        application: 'mail-engine',
        pid,
      })
    }
    const next = async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query(session)
      await client.end()
      return rows[0]
    }
    // The listener's connection is given back beside it.
    await until(async () => (await next()).pid === pid)
    const { statement, bitmap, plan } = await next()
    assert.deepEqual({ statement, bitmap, plan }, { statement: '0', bitmap: 'on', plan: 'auto' })
  })

  test('notifications and the owner lock survive a PgBouncer that is killed', async () => {
    await using db = await openDatabase({ url, connections: 1, logger })
    await using direct = await openDatabase({ url: postgres.url, connections: 1, logger })
    const heard: string[] = []
    let gaps = 0
    db.listen(
      'news',
      (payload) => heard.push(payload),
      () => gaps++,
    )
    const isHeard = async (payload: string) => {
      await direct.query('select pg_notify($1, $2)', ['news', payload])
      return heard.includes(payload)
    }
    const isHeld = async () => {
      const rows = await direct.query(`select from pg_locks where locktype = 'advisory' and objid = $1::int::oid`, [
        db.owner,
      ])
      return rows.length === 1
    }
    await until(isHeld)
    await until(() => isHeard('before'))
    await end(pooler)
    await until(async () => !(await isHeld())) // Postgres has seen it go
    pooler = await start()
    await until(() => gaps === 2) // the first when it began
    await until(() => isHeard('after'))
    await until(isHeld)
    assert.deepEqual(await db.query('select 1 as one'), [{ one: 1 }])
  })
})
