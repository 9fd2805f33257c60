/** JSON lines on standard output: pod, worker and component in each. */
import { type Logger, pino } from 'pino'

/** @param worker number of the worker process; undefined in the only process, 0 in the primary */
export function createLogger(options: { level: string; pod: string; worker?: number }): Logger {
  const { level, pod, worker } = options
  return pino({
    level,
    base: { pod, pid: process.pid, ...(worker === undefined ? {} : { worker }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // A last line of defence: no part logs a secret on purpose.
    redact: {
      paths: ['password', '*.password', 'authorization', '*.authorization', 'databaseUrl'],
      censor: '[redacted]',
    },
  })
}

/** Node's own warnings as log lines: they would be the only lines that are not JSON. */
export function logWarnings(log: Logger): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning) => log.warn({ err: warning }, 'warning of the runtime'))
}
