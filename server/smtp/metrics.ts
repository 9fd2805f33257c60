/** What the SMTP listeners count. The first and second names are fixed by the platform's dashboards. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface SmtpMetrics {
  received: Counter<'listener' | 'action'>
  spamBlocked: Counter<'reason'>
  authFailures: Counter<'listener'>
  sessions: Gauge<'listener'>
  /** From the end of DATA to the reply. */
  acceptSeconds: Histogram<'listener'>
}

const LISTENERS = ['mx', 'submission', 'submissions'] as const
const ACTIONS = ['accept', 'junk', 'reject', 'defer'] as const
const REASONS = ['score', 'dmarc', 'greylist', 'rate_limit'] as const

/** Registers them with zero-valued samples, so that a rate exists from the start. Call once per registry. */
export function createSmtpMetrics(registry: Registry): SmtpMetrics {
  const registers = [registry]
  const metrics: SmtpMetrics = {
    received: new Counter({
      name: 'stalwart_messages_received_total',
      help: 'Messages received by SMTP, by listener and what became of them',
      labelNames: ['listener', 'action'],
      registers,
    }),
    spamBlocked: new Counter({
      name: 'stalwart_spam_blocked_total',
      help: 'Messages or recipients refused or deferred as unwanted, by reason',
      labelNames: ['reason'],
      registers,
    }),
    authFailures: new Counter({
      name: 'mail_smtp_auth_failures_total',
      help: 'Failed AUTH commands',
      labelNames: ['listener'],
      registers,
    }),
    sessions: new Gauge({
      name: 'mail_smtp_sessions',
      help: 'Open SMTP sessions',
      labelNames: ['listener'],
      registers,
    }),
    acceptSeconds: new Histogram({
      name: 'mail_smtp_accept_seconds',
      help: 'Time from the end of the message to its reply',
      labelNames: ['listener'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
      registers,
    }),
  }
  for (const listener of LISTENERS) {
    for (const action of ACTIONS) metrics.received.inc({ listener, action }, 0)
    metrics.authFailures.inc({ listener }, 0)
    metrics.sessions.set({ listener }, 0)
  }
  for (const reason of REASONS) metrics.spamBlocked.inc({ reason }, 0)
  return metrics
}
