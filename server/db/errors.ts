/** Tells "the database is away" from "the statement is wrong". */
import { Unavailable } from './database.ts'

/** SQLSTATE classes and codes (PostgreSQL appendix A) after which the same statement may well succeed later. */
const TEMPORARY_CLASSES = new Set([
  '08', // connection exception
  '53', // insufficient resources: too many connections, disk full
  '58', // system error outside Postgres
  '28', // wrong credentials: being set up, or just changed
])
const TEMPORARY_CODES = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now: starting up
  '57P05', // idle_session_timeout
  '57014', // query_canceled: statement_timeout
  '3D000', // invalid_catalog_name: the database is not made yet
  '55P03', // lock_not_available: lock_timeout
  '25006', // read_only_sql_transaction: still connected to a demoted primary
  '25P03', // idle_in_transaction_session_timeout
  'XX000', // internal error, seen while a failover tears relations away
])
/** Node's socket errors. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])
/** Node's and OpenSSL's: the server's certificate is not (yet, any more) what we trust. */
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|EPROTO$)/
/** The driver's own errors have no code. */
const DRIVER_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout exceeded when trying to connect|timeout expired|Cannot use a pool after|The server does not support SSL)/

/** The transaction met another one and may simply be run again. */
export function isRetryable(error: unknown): boolean {
  const code = codeOf(error)
  return code === '40P01' || code === '40001'
}

/** Postgres does not take our name and password for a new connection (SQLSTATE class 28). */
export const isLoginRefused = (error: unknown): boolean => codeOf(error)?.startsWith('28') ?? false

/** True when the connection itself cannot be trusted any more. */
export function breaksConnection(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined) return error instanceof Error && DRIVER_MESSAGES.test(error.message)
  // A demoted primary refuses every write: the next connection goes to the new one.
  return (
    SOCKET_CODES.has(code) ||
    code.startsWith('08') ||
    code.startsWith('57P') ||
    code.startsWith('25') ||
    code === 'XX000'
  )
}

/** The error as the engine knows it: Unavailable when trying again later may help, unchanged otherwise. */
export function asEngineError(error: unknown): unknown {
  if (error instanceof Unavailable || !isTemporary(error)) return error
  return new Unavailable(`database: ${reasonOf(error)}`, { cause: error })
}

function reasonOf(error: unknown): string {
  // Node tries every address of a name, and its report of all failures has no words of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}

function isTemporary(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined) return error instanceof Error && DRIVER_MESSAGES.test(error.message)
  if (isRetryable(error)) return true
  if (SOCKET_CODES.has(code) || TLS_CODE.test(code)) return true
  return TEMPORARY_CODES.has(code) || TEMPORARY_CLASSES.has(code.slice(0, 2))
}

function codeOf(error: unknown): string | undefined {
  // Node tries every address of a name and reports all failures together.
  if (error instanceof AggregateError) return error.errors.map(codeOf).find((code) => code !== undefined)
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
