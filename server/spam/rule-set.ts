/** Which rules are in force: the built-in ones, and after them those of a configuration. The operator asks this too. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseRules, type RuleSet } from './rule-language.ts'

const DIRECTORY = join(import.meta.dirname, 'rules')

export interface RuleFile {
  file: string
  text: string
}

/** The built-in rules, by file. */
export function readBuiltInRules(): RuleFile[] {
  return readdirSync(DIRECTORY)
    .filter((file) => file.endsWith('.cf'))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(DIRECTORY, file), 'utf8') }))
}

/** @returns mistakes of configured rules as "spam.rules[0]:12: what is wrong there" */
export function compileRules(builtIn: readonly RuleFile[], rules: readonly string[]): RuleSet {
  return parseRules([...builtIn, ...rules.map((text, index) => ({ file: `spam.rules[${index}]`, text }))])
}
