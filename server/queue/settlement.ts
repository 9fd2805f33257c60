/** What an attempt means for each recipient, and who is told about it. Pure. */
import type { OutboundConfig } from '../config.ts'
import type { AttemptResult } from './attempt.ts'
import type { DsnAction, DsnRecipient } from './dsn.ts'
import { DELAY_REPORT_AFTER_MS, nextAttempt } from './schedule.ts'
import type { Delivery, QueuedRecipient, Settlement } from './store.ts'

export interface Decision {
  settlements: Settlement[]
  reports: { action: DsnAction; recipients: DsnRecipient[] }[]
  counts: { delivered: number; deferred: number; failed: number }
}

/**
 * @param results per address; a recipient without one was not reached
 * @param random 0 .. 1, see nextAttempt
 */
export function decide(
  delivery: Delivery,
  results: ReadonlyMap<string, AttemptResult>,
  outbound: Pick<OutboundConfig, 'retryDelaysMs'>,
  now: Date,
  random: () => number,
): Decision {
  const settlements: Settlement[] = []
  const told: Record<Exclude<DsnAction, 'delivered'>, DsnRecipient[]> = { failed: [], delayed: [], relayed: [] }
  const counts = { delivered: 0, deferred: 0, failed: 0 }
  for (const recipient of delivery.recipients) {
    const result = results.get(recipient.address) ?? NOT_REACHED
    const report: DsnRecipient = {
      address: recipient.address,
      orcpt: recipient.orcpt,
      reply: result.reply,
      remoteHost: result.remoteHost,
    }
    const attempts = recipient.attempts + 1
    const nextAttemptAt =
      result.outcome === 'deferred'
        ? nextAttempt({ attempts, now, expiresAt: delivery.expiresAt }, outbound, random())
        : undefined
    if (nextAttemptAt) {
      counts.deferred++
      const late = +now - +delivery.createdAt >= DELAY_REPORT_AFTER_MS
      const tell = late && !recipient.delayReported && wants(recipient, 'delay')
      if (tell) told.delayed.push(report)
      settlements.push({
        id: recipient.id,
        done: false,
        nextAttemptAt,
        reply: result.reply.text,
        delayReported: recipient.delayReported || tell,
      })
      continue
    }
    settlements.push({ id: recipient.id, done: true })
    if (result.outcome === 'delivered') {
      counts.delivered++
      // RFC 3461 §5.2.2: the next server does not confirm, so we say how far we know
      if (!result.remoteSendsDsn && recipient.notify?.includes('success')) told.relayed.push(report)
    } else {
      counts.failed++
      if (wants(recipient, 'failure')) told.failed.push(report)
    }
  }
  const reports = (['failed', 'delayed', 'relayed'] as const)
    .filter((action) => told[action].length > 0)
    .map((action) => ({ action, recipients: told[action] }))
  // RFC 5321 §6.1: nothing is ever sent about a message with the null reverse-path
  return { settlements, reports: delivery.reversePath === '' ? [] : reports, counts }
}

const NOT_REACHED: AttemptResult = {
  outcome: 'deferred',
  reply: { enhanced: '4.4.2', text: 'The attempt was broken off', remote: false },
  remoteHost: undefined,
  remoteSendsDsn: false,
}

/** RFC 3461 §4.1: without NOTIFY, failures and (at our choice) delays are told. */
function wants(recipient: QueuedRecipient, event: 'failure' | 'delay'): boolean {
  return recipient.notify === undefined || recipient.notify.includes(event)
}
