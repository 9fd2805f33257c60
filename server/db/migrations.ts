/**
 * Which migrations there are: those that this code brings, those that a database has, and how the two differ.
 * migrate.ts applies what is missing; the preflight only looks.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'

export interface Migration {
  version: number
  name: string
  sql: string
  checksum: string
  compatible: boolean
  inTransaction: boolean
}

/** A row of schema_migration. */
export type AppliedMigration = Pick<Migration, 'version' | 'name' | 'checksum' | 'compatible'>

export interface SchemaDifference {
  /** Ours that the database does not have, in order. */
  missing: Migration[]
  /** The database's that we do not know. `compatible` is what their own version said of them. */
  unknown: AppliedMigration[]
  /** The database's that were something else when they were applied. */
  changed: AppliedMigration[]
}

/** The schema in the database and the one in this code do not fit; trying again does not help. */
export class SchemaMismatch extends Error {
  override name = 'SchemaMismatch'
}

/**
 * The numbered files, in order.
 * @param directory default: those of this version of the engine
 * @throws SchemaMismatch when two files have one number
 */
export async function readMigrations(directory = join(import.meta.dirname, 'migrations')): Promise<Migration[]> {
  const migrations: Migration[] = []
  for (const file of (await readdir(directory)).filter((name) => /^\d+_.*\.sql$/.test(name)).sort()) {
    const sql = await readFile(join(directory, file), 'utf8')
    const version = Number.parseInt(file, 10)
    if (migrations.some((one) => one.version === version)) throw new SchemaMismatch(`two migrations are ${version}`)
    migrations.push({
      version,
      name: file.replace(/\.sql$/, ''),
      sql,
      checksum: createHash('sha256').update(sql).digest('hex'),
      compatible: /^-- compatible: yes$/m.test(sql),
      inTransaction: !/^-- transaction: no$/m.test(sql),
    })
  }
  return migrations.sort((a, b) => a.version - b.version)
}

/** What schema_migration says; nothing where that table was never made. */
export async function appliedMigrations(client: pg.Client): Promise<AppliedMigration[]> {
  const { rows: found } = await client.query("select to_regclass('schema_migration') is not null as exists")
  if (found[0]?.exists !== true) return []
  const { rows } = await client.query<AppliedMigration>(
    'select version, name, checksum, compatible from schema_migration order by version',
  )
  return rows
}

export function compareMigrations(ours: readonly Migration[], applied: readonly AppliedMigration[]): SchemaDifference {
  const known = new Map(ours.map((one) => [one.version, one]))
  const done = new Set(applied.map(({ version }) => version))
  return {
    missing: ours.filter(({ version }) => !done.has(version)),
    unknown: applied.filter(({ version }) => !known.has(version)),
    changed: applied.filter(({ version, checksum }) => {
      const mine = known.get(version)
      return mine !== undefined && mine.checksum !== checksum
    }),
  }
}
