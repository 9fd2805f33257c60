/** From hits to a decision and the fields that tell of it. Pure. */
import type { SpamConfig } from '../config.ts'
import type { SenderAuthResults } from '../senderauth/types.ts'
import { type Hit, round } from './engine.ts'
import type { Verdict } from './types.ts'

const MAX_LEVEL_STARS = 50

/**
 * DMARC: a From domain that publishes p=reject, with neither SPF nor DKIM passing for it, is taken at its word, as the large
 * receivers do: 550 5.7.1 (RFC 7489 §6.6.2, and Google's, Microsoft's and Yahoo's practice). An unbroken ARC chain says that
 * a forwarder saw it pass: that is no proof, since we keep no list of trusted forwarders, but reason enough not to lose the
 * mail, so it goes to Junk instead. p=quarantine goes to Junk. Trouble with DNS (temperror) never decides.
 */
export function judgeHits(
  hits: readonly Hit[],
  senderAuth: SenderAuthResults,
  config: Pick<SpamConfig, 'requiredScore' | 'rejectScore'>,
): Verdict {
  const score = round(hits.reduce((sum, hit) => sum + hit.score, 0))
  const { dmarc, arc } = senderAuth
  const refusedByDmarc = dmarc.result === 'fail' && dmarc.policy === 'reject' && arc.result !== 'pass'
  const quarantined = dmarc.result === 'fail' && (dmarc.policy === 'reject' || dmarc.policy === 'quarantine')
  const action =
    refusedByDmarc || score >= config.rejectScore
      ? 'reject'
      : quarantined || score >= config.requiredScore
        ? 'junk'
        : 'accept'
  const tests = hits.map(({ name, score, description }) => ({ name, score, description }))
  const reason = refusedByDmarc ? 'dmarc' : 'score'
  return {
    score,
    tests,
    action,
    ...(action === 'reject' ? { reason } : {}),
    header: statusFields(
      score,
      tests.map(({ name }) => name),
      action !== 'accept',
      config.requiredScore,
    ),
  }
}

/** SpamAssassin's fields, which mail programs and Sieve scripts know. */
function statusFields(score: number, names: string[], isSpam: boolean, requiredScore: number): string {
  const list = names.length === 0 ? 'none' : names.join(',\r\n\t')
  const status = `X-Spam-Status: ${isSpam ? 'Yes' : 'No'}, score=${score.toFixed(1)} required=${requiredScore.toFixed(1)}\r\n\ttests=${list}\r\n`
  const stars = '*'.repeat(Math.max(0, Math.min(MAX_LEVEL_STARS, Math.floor(score))))
  return `${isSpam ? 'X-Spam-Flag: YES\r\n' : ''}${status}${stars === '' ? '' : `X-Spam-Level: ${stars}\r\n`}`
}
