/** The engine's Database over `pg`: pooled connections, transactions, and what happens when Postgres goes away. */
import { randomInt } from 'node:crypto'
import pg from 'pg'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { CONNECT_DEADLINE_MS, type ConnectionOptions, connectionConfig, setUpSession } from './connection.ts'
import { type Database, type Queryable, type Transaction, Unavailable } from './database.ts'
import { asEngineError, breaksConnection, isLoginRefused, isRetryable } from './errors.ts'
import { startListener } from './listener.ts'
import { createPoolMetrics } from './metrics.ts'

/** Statements a connection keeps prepared. The engine's own are fewer; searches build more. */
const PREPARED_STATEMENTS = 250
const TRANSACTION_ATTEMPTS = 5
const IDLE_CONNECTION_MS = 60_000
/** A connection is renewed after this, so that none clings to a server that was demoted. */
const CONNECTION_LIFETIME_S = 1_800
/** Between looks for a free connection while Postgres refuses new ones. */
const REFUSED_LOGIN_PAUSE_MS = 50

export interface OpenOptions extends ConnectionOptions {
  /** Most connections at a time, besides the one for notifications. */
  connections: number
  logger: Logger
  metrics?: Registry
}

/**
 * Opens the pool. Postgres need not be there yet: statements throw Unavailable until it is.
 * @throws Error when the URL or the CA file is wrong
 */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  const { logger } = options
  const pool = new pg.Pool({
    ...connectionConfig(options),
    max: options.connections,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    maxLifetimeSeconds: CONNECTION_LIFETIME_S,
    pipeline: true,
    onConnect: (client) => setUpSession(client),
    types: { getTypeParser },
  })
  pool.on('error', (err) => logger.debug({ err }, 'an idle database connection ended'))
  // A connection in use reports to its statement; without a listener the event would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  const metrics = createPoolMetrics(options.metrics, pool)
  const owner = randomInt(1, 2 ** 31 - 1)
  const listener = startListener(options, owner, logger)
  const names = statementNames()

  async function checkout(): Promise<pg.PoolClient> {
    const startedAt = performance.now()
    try {
      return await connect()
    } catch (error) {
      metrics.failures.inc()
      throw asEngineError(error)
    } finally {
      metrics.wait.observe((performance.now() - startedAt) / 1000)
    }
  }

  /** Open connections outlive a change of the password, so while there are some, who is refused a new one waits for one. */
  async function connect(): Promise<pg.PoolClient> {
    const deadline = performance.now() + CONNECT_DEADLINE_MS
    for (;;) {
      try {
        return await pool.connect()
      } catch (error) {
        if (!isLoginRefused(error) || pool.totalCount === 0 || performance.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, REFUSED_LOGIN_PAUSE_MS))
      }
    }
  }

  function release(client: pg.PoolClient, error: unknown): void {
    client.release(breaksConnection(error))
  }

  function statementsOn(client: pg.PoolClient): Queryable {
    return {
      async query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
        const name = names(text)
        const result = await client.query<Row>(name === undefined ? { text, values } : { name, text, values })
        return result.rows
      },
    }
  }

  async function attempt<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await checkout()
    try {
      const begun = client.query('begin') // its answer comes with the first statement's
      begun.catch(() => {})
      const value = await work(statementsOn(client))
      await begun
      const committed = await client.query('commit')
      if (committed.command !== 'COMMIT') throw new Error('the transaction had failed before its commit')
      client.release()
      return value
    } catch (error) {
      if (breaksConnection(error)) {
        release(client, error)
      } else {
        await client.query('rollback').then(
          () => client.release(),
          () => client.release(true),
        )
      }
      throw error
    }
  }

  return {
    owner,
    async query<Row extends object>(text: string, values?: unknown[]): Promise<Row[]> {
      const client = await checkout()
      try {
        const rows = await statementsOn(client).query<Row>(text, values)
        client.release()
        return rows
      } catch (error) {
        release(client, error)
        throw asEngineError(error)
      }
    },
    async transaction(work) {
      for (let attempts = 1; ; attempts++) {
        try {
          return await attempt(work)
        } catch (error) {
          if (!isRetryable(error) || attempts >= TRANSACTION_ATTEMPTS) throw asEngineError(error)
          metrics.retries.inc()
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempts))
        }
      }
    },
    listen: listener.listen,
    async ping() {
      const client = await checkout()
      try {
        const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
        client.release(rows[0]?.standby === true)
        if (rows[0]?.standby) throw new Unavailable('database: connected to a standby, waiting for the primary')
      } catch (error) {
        if (!(error instanceof Unavailable)) release(client, error)
        throw asEngineError(error)
      }
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]()
      await pool.end()
    },
  }
}

/** int8 stays the text it comes as, without the driver's check of every digit: ids come by the ten thousand. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === pg.types.builtins.INT8 && format !== 'binary' ? String : pg.types.getTypeParser(oid, format)

/** Gives each statement text a name, under which a connection keeps its plan; undefined once there are too many. */
function statementNames(): (text: string) => string | undefined {
  const names = new Map<string, string>()
  return (text) => {
    const known = names.get(text)
    if (known !== undefined || names.size >= PREPARED_STATEMENTS) return known
    const name = `s${names.size}`
    names.set(text, name)
    return name
  }
}
