/** What the IMAP server counts. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface ImapMetrics {
  sessions: Gauge
  sessionsTotal: Counter
  commands: Counter<'command' | 'result'>
  commandSeconds: Histogram<'command'>
  authFailures: Counter
}

const ofRegistry = new WeakMap<Registry, ImapMetrics>()

/** The same metrics for every session of a registry. */
export function imapMetrics(registry: Registry): ImapMetrics {
  const known = ofRegistry.get(registry)
  if (known) return known
  const registers = [registry]
  const metrics: ImapMetrics = {
    sessions: new Gauge({ name: 'mail_imap_sessions', help: 'Open IMAP sessions', registers }),
    sessionsTotal: new Counter({ name: 'mail_imap_sessions_total', help: 'IMAP sessions begun', registers }),
    commands: new Counter({
      name: 'mail_imap_commands_total',
      help: 'IMAP commands, by name and completion (ok, no, bad)',
      labelNames: ['command', 'result'],
      registers,
    }),
    commandSeconds: new Histogram({
      name: 'mail_imap_command_seconds',
      help: 'Time from a command being read to its completion being written, IDLE left out',
      labelNames: ['command'],
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
      registers,
    }),
    authFailures: new Counter({ name: 'mail_imap_auth_failures_total', help: 'Failed IMAP logins', registers }),
  }
  ofRegistry.set(registry, metrics)
  return metrics
}
