/** Looks at the schema of a database that others are using. */
import pg from 'pg'
import { type ConnectionOptions, connectionConfig } from './connection.ts'
import { asEngineError } from './errors.ts'
import { appliedMigrations, compareMigrations, readMigrations, type SchemaDifference } from './migrations.ts'

/**
 * How the database's migrations differ from those of this version. Takes no lock and writes nothing.
 * @throws Unavailable when Postgres is away; Error when the CA file is missing
 */
export async function schemaDifference(options: ConnectionOptions): Promise<SchemaDifference> {
  const client = new pg.Client(connectionConfig(options))
  client.on('error', () => {}) // the statement in progress reports it
  try {
    await client.connect()
    await client.query('begin transaction read only')
    return compareMigrations(await readMigrations(), await appliedMigrations(client))
  } catch (error) {
    throw asEngineError(error)
  } finally {
    await client.end().catch(() => {})
  }
}
