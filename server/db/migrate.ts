/**
 * Brings the schema up to what this code needs (design decision 7). Migrations are the numbered files in migrations/; each
 * runs once, in one transaction, under an advisory lock, so that several replicas may start at once. They are written
 * expand/contract: old and new engines run side by side during a rollout.
 *
 * The first lines of a file may say
 *   -- compatible: yes      engines that do not know this migration run on with it (expand). Default: no.
 *   -- transaction: no      for CREATE INDEX CONCURRENTLY; the file is one statement then and must be repeatable.
 */
import pg from 'pg'
import type { Logger } from 'pino'
import { type ConnectionOptions, connectionConfig, setUpSession } from './connection.ts'
import { Unavailable } from './database.ts'
import { asEngineError } from './errors.ts'
import { appliedMigrations, compareMigrations, type Migration, readMigrations, SchemaMismatch } from './migrations.ts'

/** Beside OWNER_LOCK_CLASS in listener.ts. */
const MIGRATION_LOCK_CLASS = 0x6d696772 // 'migr'
const LOCK_POLL_MS = 200

export interface MigrateOptions extends ConnectionOptions {
  logger: Logger
  /** Where the numbered files are. */
  directory?: string
  /** How long another replica may take with its migration. */
  deadlineMs?: number
}

/**
 * Applies what is missing.
 * @returns names of the migrations applied now
 * @throws Unavailable when Postgres is away or another replica migrates for longer than the deadline; SchemaMismatch
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const migrations = await readMigrations(options.directory)
  const client = new pg.Client(connectionConfig({ ...options, applicationName: 'mail-engine-migrate' }, false))
  client.on('error', () => {}) // the statement in progress reports it
  try {
    await client.connect()
    await setUpSession(client, false)
    await takeLock(client, Date.now() + (options.deadlineMs ?? 120_000))
    return await applyMissing(client, migrations, options.logger)
  } catch (error) {
    throw asEngineError(error)
  } finally {
    await client.end().catch(() => {}) // gives the lock back
  }
}

async function takeLock(client: pg.Client, deadline: number): Promise<void> {
  for (;;) {
    const { rows } = await client.query('select pg_try_advisory_lock($1, 0) as taken', [MIGRATION_LOCK_CLASS])
    if (rows[0]?.taken === true) return
    if (Date.now() >= deadline) throw new Unavailable('database: another replica is still migrating the schema')
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
  }
}

async function applyMissing(client: pg.Client, migrations: Migration[], logger: Logger): Promise<string[]> {
  await client.query(`create table if not exists schema_migration (
    version integer primary key,
    name text not null,
    checksum text not null,
    compatible boolean not null,
    applied_at timestamptz not null default now())`)
  const { missing, unknown, changed } = compareMigrations(migrations, await appliedMigrations(client))
  const contracted = unknown.find(({ compatible }) => !compatible)
  if (contracted) {
    throw new SchemaMismatch(
      `the database has migration ${contracted.name}, which this version of the engine is too old for`,
    )
  }
  if (changed[0]) throw new SchemaMismatch(`migration ${changed[0].name} was changed after it was applied`)
  for (const migration of missing) {
    await apply(client, migration)
    logger.info({ migration: migration.name }, 'applied a schema migration')
  }
  return missing.map((one) => one.name)
}

async function apply(client: pg.Client, { version, name, sql, checksum, compatible, inTransaction }: Migration) {
  if (inTransaction) await client.query('begin')
  try {
    await client.query(sql)
    await client.query('insert into schema_migration (version, name, checksum, compatible) values ($1, $2, $3, $4)', [
      version,
      name,
      checksum,
      compatible,
    ])
    if (inTransaction) await client.query('commit')
  } catch (error) {
    if (inTransaction) await client.query('rollback').catch(() => {})
    throw error
  }
}
