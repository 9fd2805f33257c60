/** What the pool counts. */
import type { Pool } from 'pg'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export interface PoolMetrics {
  /** Seconds until a statement or transaction had its connection. */
  wait: Histogram
  failures: Counter
  retries: Counter
}

/** @param registry a private one when absent: the counts then go nowhere */
export function createPoolMetrics(registry: Registry | undefined, pool: Pool): PoolMetrics {
  const registers = [registry ?? new Registry()]
  new Gauge({
    name: 'mail_database_connections',
    help: 'Database connections of the pool by state; waiting counts those who wait for one',
    labelNames: ['state'],
    registers,
    collect() {
      this.set({ state: 'open' }, pool.totalCount)
      this.set({ state: 'idle' }, pool.idleCount)
      this.set({ state: 'waiting' }, pool.waitingCount)
    },
  })
  return {
    wait: new Histogram({
      name: 'mail_database_wait_seconds',
      help: 'Time until a statement or transaction had its connection',
      buckets: [0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5, 10],
      registers,
    }),
    failures: new Counter({
      name: 'mail_database_connection_failures_total',
      help: 'Attempts to get a database connection that failed',
      registers,
    }),
    retries: new Counter({
      name: 'mail_database_transaction_retries_total',
      help: 'Transactions run again after a deadlock or serialization failure',
      registers,
    }),
  }
}
