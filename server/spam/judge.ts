/** The spam judge: the one joint of greylisting, rate limit, DNS block lists, sender checks and rules. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { ConfigError, type EngineConfig } from '../config.ts'
import type { Database } from '../db/database.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import { createBoundedRunner } from './bounded.ts'
import { lookUpZones } from './dnsbl.ts'
import { runRules } from './engine.ts'
import { clientNetwork, createGreylist } from './greylist.ts'
import { viewMessage } from './message-view.ts'
import type { RateCounter } from './rate-counter.ts'
import { parseRules, type Rule } from './rule-language.ts'
import type { SpamJudge } from './types.ts'
import { judgeHits } from './verdict.ts'

export interface SpamJudgeDeps {
  /** Read at each message: a live view takes effect for the next one. */
  config: EngineConfig
  db: Database
  rateCounter: RateCounter
  resolver: DnsResolver
  logger: Logger
  now: () => Date
}

const MINUTE_MS = 60_000
const NO_RULES: readonly string[] = []
const RULES_DIRECTORY = join(import.meta.dirname, 'rules')

/** The built-in rules, by file. */
export function readBuiltInRules(): { file: string; text: string }[] {
  return readdirSync(RULES_DIRECTORY)
    .filter((file) => file.endsWith('.cf'))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(RULES_DIRECTORY, file), 'utf8') }))
}

/**
 * The rules of a configuration, after the built-in ones.
 * @throws ConfigError naming "rules[0]:12" and what is wrong there
 */
export function compileRules(builtIn: { file: string; text: string }[], rules: readonly string[]): Rule[] {
  return parseRules([...builtIn, ...rules.map((text, index) => ({ file: `spam.rules[${index}]`, text }))])
}

/** @throws ConfigError only for a mistake in the built-in rules; one in the configured rules is logged and leaves those before */
export function createSpamJudge(deps: SpamJudgeDeps): SpamJudge {
  const { config, db, resolver, now } = deps
  const logger = deps.logger.child({ component: 'spam' })
  const builtIn = readBuiltInRules()
  const greylist = createGreylist({ db, config: () => config.spam.greylisting, now })
  const run = createBoundedRunner()
  /** `of`: a changed configuration comes with a new array. */
  let compiled = { of: NO_RULES, rules: compileRules(builtIn, []), tooSlow: new Set<string>() }

  function currentRules(): typeof compiled {
    const of = config.spam.rules.length === 0 ? NO_RULES : config.spam.rules
    if (of === compiled.of) return compiled
    try {
      compiled = { of, rules: compileRules(builtIn, of), tooSlow: new Set() }
      logger.info({ rules: compiled.rules.length }, 'spam rules loaded')
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      compiled = { ...compiled, of } // mail goes on with the rules that work
      logger.error({ reason: error.message, kept: compiled.rules.length }, 'spam rules not usable')
    }
    return compiled
  }

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
