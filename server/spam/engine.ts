/** Runs the rules over one message. Knows nothing of where rules come from or what a score leads to. */
import { type RunBounded, TimeBudgetSpent } from './bounded.ts'
import type { Facts } from './facts.ts'
import { type Rule, type RuleTest, scoreOf } from './rule-language.ts'

export interface Hit {
  name: string
  score: number
  description: string
}

export interface RuleRun {
  hits: Hit[]
  /** The rule that was running when the time was over; it and those after it did not count. */
  overran: string | undefined
}

/** All rules over one message. */
const BUDGET_MS = 1_000

/**
 * @param given hits found by other means (DNSBL zones); rules may ask for them by name
 * @param skip rules that took too long before
 */
export function runRules(
  rules: readonly Rule[],
  facts: Facts,
  given: readonly Hit[],
  run: RunBounded,
  options: { skip?: ReadonlySet<string>; budgetMs?: number } = {},
): RuleRun {
  const counts = new Map<string, number>(given.map(({ name }) => [name, 1]))
  const hits = [...given]
  let current: Rule | undefined
  const all = (): void => {
    for (const rule of rules) {
      if (options.skip?.has(rule.name)) continue
      current = rule
      const count = Math.min(countHits(rule.test, facts, rule.maxHits, counts), rule.maxHits)
      if (count === 0) continue
      counts.set(rule.name, count)
      if (rule.name.startsWith('__')) continue
      hits.push({ name: rule.name, score: round(scoreOf(rule) * count), description: rule.description })
    }
    current = undefined
  }
  try {
    run(all, options.budgetMs ?? BUDGET_MS)
  } catch (error) {
    if (!(error instanceof TimeBudgetSpent)) throw error
    return { hits, overran: current?.name }
  }
  return { hits, overran: undefined }
}

/** Thousandths, so that sums of decimal fractions stay what they look like. */
export const round = (score: number): number => Math.round(score * 1000) / 1000

function countHits(test: RuleTest, facts: Facts, most: number, counts: ReadonlyMap<string, number>): number {
  const { message } = facts
  switch (test.kind) {
    case 'header': {
      const value = message.header(test.field, test.part) ?? test.ifUnset
      if (test.negated) return matches(test.regex, value, 1) === 0 ? 1 : 0
      return matches(test.regex, value, most)
    }
    case 'exists':
      return message.header(test.field, 'raw') === undefined ? 0 : 1
    case 'eval':
      return test.evaluate(facts, test.parameters) ? 1 : 0
    case 'body':
      return matchesInAll(test.regex, message.body, most)
    case 'rawbody':
      return matchesInAll(test.regex, message.rawbody, most)
    case 'uri':
      return matchesInAll(test.regex, message.uris, most)
    case 'full':
      return matches(test.regex, message.full, most)
    case 'meta': {
      const value = test.expression.evaluate((name) => counts.get(name) ?? 0)
      return value === 0 || Number.isNaN(value) ? 0 : most === 1 ? 1 : Math.max(1, Math.floor(value))
    }
  }
}

function matchesInAll(regex: RegExp, texts: readonly string[], most: number): number {
  let count = 0
  for (const text of texts) {
    count += matches(regex, text, most - count)
    if (count >= most) break
  }
  return count
}

/** Counts matches, at most so many. All expressions are global (see parseRegex), so their place is reset first. */
function matches(regex: RegExp, text: string, most: number): number {
  regex.lastIndex = 0
  if (most === 1) return regex.test(text) ? 1 : 0
  let count = 0
  for (let found = regex.exec(text); found && ++count < most; found = regex.exec(text))
    if (found[0] === '') regex.lastIndex++ // an empty match does not move on by itself
  return count
}
