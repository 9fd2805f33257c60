/** The spam judge: the one joint of greylisting, rate limit, DNS block lists, sender checks and rules. */
import type { Logger } from 'pino'
import { Gauge, Registry } from 'prom-client'
import type { EngineConfig } from '../config.ts'
import type { Database } from '../db/database.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import { createBoundedRunner } from './bounded.ts'
import { lookUpZones } from './dnsbl.ts'
import { runRules } from './engine.ts'
import { clientNetwork, createGreylist } from './greylist.ts'
import { viewMessage } from './message-view.ts'
import type { RateCounter } from './rate-counter.ts'
import { compileRules, readBuiltInRules } from './rule-set.ts'
import type { SpamJudge } from './types.ts'
import { judgeHits } from './verdict.ts'

export interface SpamJudgeDeps {
  /** Read at each message: a live view takes effect for the next one. */
  config: EngineConfig
  db: Database
  rateCounter: RateCounter
  resolver: DnsResolver
  logger: Logger
  metrics?: Registry
  now: () => Date
}

const MINUTE_MS = 60_000
const NO_RULES: readonly string[] = []
const MISTAKES_LOGGED = 50

export function createSpamJudge(deps: SpamJudgeDeps): SpamJudge {
  const { config, db, resolver, now } = deps
  const logger = deps.logger.child({ component: 'spam' })
  const builtIn = readBuiltInRules()
  const greylist = createGreylist({ db, config: () => config.spam.greylisting, now })
  const run = createBoundedRunner()
  /** `of`: a changed configuration comes with a new array. */
  let compiled = { of: NO_RULES, ...compileRules(builtIn, NO_RULES), tooSlow: new Set<string>() }

  function currentRules(): typeof compiled {
    const of = config.spam.rules.length === 0 ? NO_RULES : config.spam.rules
    if (of === compiled.of) return compiled
    compiled = { of, ...compileRules(builtIn, of), tooSlow: new Set() }
    const { rules, mistakes } = compiled
    logger.info({ rules: rules.length }, 'spam rules loaded')
    if (mistakes.length > 0) {
      const told = mistakes.slice(0, MISTAKES_LOGGED)
      logger.error({ mistakes: told, leftOut: mistakes.length }, 'lines of the spam rules left out')
    }
    return compiled
  }

  new Gauge({
    name: 'mail_spam_rule_mistakes',
    help: 'Lines of the configured spam rules that this version of the engine does not understand and leaves out',
    aggregator: 'max',
    registers: [deps.metrics ?? new Registry()],
    // Asked for here too: a mistake shows before the first message is judged.
    collect() {
      this.set(currentRules().mistakes.length)
    },
  })

  return {
    enabled: () => config.spam.enabled,

    async admit({ clientAddress, reversePath, recipient, firstRecipient }) {
      const { rateLimit, greylisting } = config.spam
      if (rateLimit.messagesPerAddressPerMinute > 0 && firstRecipient) {
        const key = `client ${clientNetwork(clientAddress, 32)}`
        const sent = await deps.rateCounter.add(key, 1, MINUTE_MS)
        if (sent > rateLimit.messagesPerAddressPerMinute)
          return { reason: 'rate_limit', text: 'Too many messages from your address, try again later' }
      }
      if (!greylisting.enabled || (await greylist.passes(clientAddress, reversePath, recipient))) return undefined
      return { reason: 'greylist', text: 'Greylisted, please try again later' }
    },

    async judge({ raw, senderAuth, ...facts }) {
      const { rules, tooSlow } = currentRules()
      const listed = await lookUpZones(facts.clientAddress, config.spam.dnsbl, resolver)
      const message = viewMessage(raw, config.limits, facts.reversePath)
      const { hits, overran } = runRules(rules, { ...facts, message, senderAuth }, listed, run, { skip: tooSlow })
      if (overran !== undefined) {
        tooSlow.add(overran)
        logger.error({ rule: overran }, 'a spam rule took too long and is left out from now on')
      }
      return judgeHits(hits, senderAuth, config.spam)
    },
  }
}
