/**
 * A real Postgres for tests: one server per test process, started at the first call, and a fresh, empty database for each
 * call. Durability is off, because nothing here survives the test anyway.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { launchPostgres, type RunningPostgres } from '../operator/local/postgres/launch.ts'

export interface TestPostgres extends AsyncDisposable {
  /** postgres:// URL of the fresh database, as superuser. */
  url: string
}

interface SharedServer {
  server: RunningPostgres
  dataDir: string
  users: number
  databases: number
}

let shared: Promise<SharedServer> | undefined

/** Dropped, and the server stopped after the last one, when disposed. */
export async function startTestPostgres(): Promise<TestPostgres> {
  shared ??= startServer()
  const at = await shared
  at.users++
  const database = `test_${++at.databases}`
  await administer(at.server, `create database ${database}`)
  return {
    url: at.server.url(database),
    async [Symbol.asyncDispose]() {
      await administer(at.server, `drop database if exists ${database} with (force)`)
      if (--at.users > 0) return
      shared = undefined
      await at.server.stop()
      await rm(at.dataDir, { recursive: true, force: true })
    },
  }
}

async function startServer(): Promise<SharedServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'mail-test-postgres-'))
  const server = await launchPostgres({
    dataDir,
    superuserPassword: randomBytes(12).toString('hex'),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' },
    logger: { debug() {}, warn() {} },
  })
  return { server, dataDir, users: 0, databases: 0 }
}

async function administer(server: RunningPostgres, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
