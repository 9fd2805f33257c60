/**
 * The database as the rest of the engine sees it: statements, transactions, notifications. The pool, TLS, migrations and
 * what counts as "away" are in the files beside this one.
 */

/** One statement, parameters by position. Rows come as the driver gives them; the caller maps them to domain types. */
export interface Queryable {
  query<Row extends object>(text: string, values?: unknown[]): Promise<Row[]>
}

/** Statements that commit or fail together. */
export type Transaction = Queryable

export interface Database extends Queryable, AsyncDisposable {
  /** Runs `work` in one READ COMMITTED transaction; retried when Postgres reports a deadlock or a serialization failure. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /**
   * LISTEN on a dedicated connection that re-connects by itself. `onGap` runs whenever listening to the channel has begun,
   * at first and after each lost connection: what was told before that may have been missed.
   * @returns stops it
   */
  listen(channel: string, onNotify: (payload: string) => void, onGap: () => void): () => void
  /**
   * Names this process in rows that others must be able to judge: it holds the session advisory lock of this number (see
   * listener.ts) while it lives and reaches Postgres. 1 .. 2^31-1.
   */
  readonly owner: number
  /** One round trip within a deadline, for readiness. @throws Unavailable also when the server is a standby */
  ping(): Promise<void>
}

/** Postgres cannot be reached, or is shutting down: temporary, the client should try again. SMTP 451 4.3.0, IMAP NO [UNAVAILABLE], JMAP serverFail. */
export class Unavailable extends Error {
  override name = 'Unavailable'
}
