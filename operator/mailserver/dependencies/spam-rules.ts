/**
 * SpamRulesReady: said only where there are rules, and never in the way of Ready. A line that is not understood costs
 * itself alone, and an engine of another release may know it.
 */

import { ok, type Statement } from './statement.ts'

/** In a condition's message; the rest is counted. */
const SHOWN = 5

/** @param mistakes of spec.spam.rules as the engine's parser tells them: "spam.rules[0]:12: what is wrong there" */
export function spamRulesStatement(mistakes: readonly string[]): Statement {
  if (mistakes.length === 0) return ok('SpamRulesReady', 'Understood', 'Every line of spec.spam.rules is understood')
  const shown = mistakes.slice(0, SHOWN).map((mistake) => `spec.${mistake}`)
  const more = mistakes.length > SHOWN ? `; and ${mistakes.length - SHOWN} more` : ''
  const count = mistakes.length === 1 ? 'A line is' : `${mistakes.length} lines are`
  const message = `${count} left out: ${shown.join('; ')}${more}`
  return { type: 'SpamRulesReady', status: 'False', reason: 'SpamRulesLeftOut', message }
}
