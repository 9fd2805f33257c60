/** How every connection of the engine to Postgres is made: TLS, deadlines, keep-alive, and the settings of its session. */
import { readFileSync } from 'node:fs'
import type { ClientBase, ClientConfig } from 'pg'

/** From TCP connect to ReadyForQuery, the wait for a free connection of the pool, and setting up its session. */
export const CONNECT_DEADLINE_MS = 10_000
/** What the server enforces on one statement; the client's own deadline is a little later, for a server that is gone. */
const STATEMENT_DEADLINE_MS = 30_000
const ANSWER_DEADLINE_MS = 35_000
const LOCK_DEADLINE_MS = 15_000
const IDLE_IN_TRANSACTION_MS = 60_000

export interface ConnectionOptions {
  /** postgres:// URL. sslmode and sslrootcert mean what libpq says. */
  url: string
  /** PEM bundle that replaces sslrootcert. */
  caFile?: string
  /** Shown in pg_stat_activity. */
  applicationName?: string
}

/**
 * The driver's configuration. Reads the CA file.
 * @param deadlines false for migrations, which may run long
 */
export function connectionConfig(options: ConnectionOptions, deadlines = true): ClientConfig {
  const url = new URL(options.url)
  const verify = url.searchParams.get('sslmode') ?? (options.caFile === undefined ? null : 'verify-full')
  // Without this the driver reads `require` as `verify-full`.
  if (verify !== null) url.searchParams.set('uselibpqcompat', 'true')
  if (options.caFile !== undefined) {
    readFileSync(options.caFile) // a missing file is an error that names it, not a TLS failure later
    url.searchParams.set('sslmode', verify ?? 'verify-full')
    url.searchParams.set('sslrootcert', options.caFile)
  }
  return {
    connectionString: url.href,
    application_name: options.applicationName ?? 'mail-engine',
    connectionTimeoutMillis: CONNECT_DEADLINE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(deadlines && { query_timeout: ANSWER_DEADLINE_MS }),
  }
}

// Every query of ours walks an index in its order and stops early. A mailbox that grew since the last ANALYZE looks small
// to the planner, which would then read and sort all of it; a plan kept from that time would stay as bad.
const PLANNER = ['enable_bitmapscan = off', 'plan_cache_mode = force_custom_plan']
const DEADLINES = [
  `statement_timeout = ${STATEMENT_DEADLINE_MS}`,
  `lock_timeout = ${LOCK_DEADLINE_MS}`,
  `idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`,
]

/**
 * The first statement of a new connection. Startup parameters would save it, but PgBouncer in front of Postgres refuses
 * those that it does not know, and as CloudNativePG configures it, drops `options` without a word.
 * @param deadlines false for migrations, which may run long
 * @throws what the driver throws; the connection is not to be used then
 */
export async function setUpSession(client: ClientBase, deadlines = true): Promise<void> {
  const settings = deadlines ? [...PLANNER, ...DEADLINES] : PLANNER
  // PgBouncer lets a client in before it has a server for it: the wait shows here.
  const query = { text: settings.map((setting) => `set ${setting}`).join('; '), query_timeout: CONNECT_DEADLINE_MS }
  await client.query(query)
}
