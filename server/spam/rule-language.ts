/**
 * SpamAssassin's rule language (Mail::SpamAssassin::Conf), the part that decides on mail: header, body, rawbody, full, uri,
 * meta, score, describe, tflags, if and ifplugin. A line that is not understood is left out, and told with its number. Pure.
 */
import { EVALUATIONS, type Evaluation } from './evaluations.ts'
import { type Expression, ExpressionError, parseExpression } from './expression.ts'
import { RegexRefused, translateRegex } from './perl-regex.ts'

export interface Rule {
  name: string
  test: RuleTest
  /** undefined until a score line: see scoreOf. */
  score: number | undefined
  description: string
  nice: boolean
  /** tflags multiple: how many hits count at most; 1 otherwise. */
  maxHits: number
  /** "file:line", for messages. */
  where: string
}

export type HeaderPart = 'text' | 'raw' | 'addr' | 'name'

export type RuleTest =
  | { kind: 'header'; field: string; part: HeaderPart; regex: RegExp; negated: boolean; ifUnset: string }
  | { kind: 'exists'; field: string }
  | { kind: 'eval'; evaluate: Evaluation; parameters: string[] }
  | { kind: 'body' | 'rawbody' | 'full' | 'uri'; regex: RegExp }
  | { kind: 'meta'; expression: Expression }

export interface RuleSet {
  /** In an order in which every meta comes after what it asks for. */
  rules: Rule[]
  /** "file:line: what is wrong", one per line that is left out, in no particular order. */
  mistakes: string[]
}

/** What is wrong with a line. */
class Mistake extends Error {
  override name = 'Mistake'
}

const MAX_RULES = 20_000
/** Metas that ask for metas: so deep. */
const MAX_DEPTH = 100
const LEFT_OUT = 'is left out'
/** Characters of what is said of one line: it may quote the line. */
const MAX_MESSAGE = 200
/** Settings of other places, or of no meaning here: passed over. */
const IGNORED = new Set(
  'lang require_version version_tag reuse priority test required_score required_hits report_safe'.split(' '),
)
/** Plugins whose conditions hold here. */
const PLUGINS = /^Mail::SpamAssassin::Plugin::(?:SPF|DKIM|DMARC|DNSEval|HTMLEval|HeaderEval|MIMEEval|BodyEval|Check)$/

/** What a rule adds when it hits: its own score, else 1 (-1 when nice), 0.01 for T_ rules, nothing for __ rules. */
export function scoreOf(rule: Rule): number {
  if (rule.name.startsWith('__')) return 0
  if (rule.score !== undefined) return rule.score
  return (rule.name.startsWith('T_') ? 0.01 : 1) * (rule.nice ? -1 : 1)
}

/**
 * Reads rule texts, later ones overriding earlier ones. Whatever is wrong with a line, all others count, so that the same
 * text means the same to every process that reads it. A meta that asks for a rule that is left out is left out too:
 * without it the meta might hit more than it should.
 */
export function parseRules(texts: readonly { file: string; text: string }[]): RuleSet {
  const parser = new Parser()
  for (const { file, text } of texts) parser.file(file, text)
  return parser.finish()
}

class Parser {
  readonly rules = new Map<string, Rule>()
  readonly scores = new Map<string, number>()
  readonly descriptions = new Map<string, string>()
  readonly flags = new Map<string, string[]>()
  readonly mistakes: string[] = []
  /** Rules whose definition is not understood. */
  readonly broken = new Set<string>()

  file(file: string, text: string): void {
    /** One entry per open if: are its lines read? */
    const conditions: boolean[] = []
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const where = `${file}:${index + 1}`
      const content = withoutComment(line).trim()
      if (content === '') continue
      const [, word = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(content) ?? []
      if (word === 'if' || word === 'ifplugin') conditions.push(word === 'if' ? condition(rest) : PLUGINS.test(rest))
      else if (word === 'else') conditions.push(!(conditions.pop() ?? false))
      else if (word === 'endif') conditions.pop()
      else if (conditions.every(Boolean)) this.attempt(where, () => this.line(where, word, rest))
    }
    if (conditions.length > 0) this.mistakes.push(`${file}: "if" without "endif"`)
  }

  private attempt(where: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      const known = error instanceof RegexRefused || error instanceof ExpressionError || error instanceof Mistake
      if (!known) throw error
      const what = error instanceof RegexRefused ? 'the expression has no translation: ' : ''
      this.leaveOut(where, `${what}${error.message}`)
    }
  }

  private leaveOut(where: string, why: string): void {
    this.mistakes.push(`${where}: ${why.length > MAX_MESSAGE ? `${why.slice(0, MAX_MESSAGE)}…` : why}`)
  }

  private line(where: string, word: string, rest: string): void {
    if (IGNORED.has(word)) return
    const [, name = '', value = ''] = /^(\S+)\s*([\s\S]*)$/.exec(rest) ?? []
    if (!/^[A-Za-z_]\w{0,127}$/.test(name)) throw new Mistake(`"${word}" needs the name of a rule`)
    switch (word) {
      case 'describe':
        this.descriptions.set(name, value.slice(0, 500))
        return
      case 'score':
        this.score(name, value)
        return
      case 'tflags':
        this.flags.set(name, value.split(/\s+/))
        return
      case 'header':
      case 'body':
      case 'rawbody':
      case 'full':
      case 'uri':
      case 'meta': {
        if (this.rules.size >= MAX_RULES) throw new Mistake(`more than ${MAX_RULES} rules`)
        this.broken.add(name)
        const test = parseTest(word, value)
        this.broken.delete(name)
        this.rules.delete(name)
        this.rules.set(name, { name, test, score: undefined, description: '', nice: false, maxHits: 1, where })
        return
      }
      default:
        throw new Mistake(`"${word}" is not supported`)
    }
  }

  private score(name: string, value: string): void {
    const numbers = value.split(/\s+/)
    const relative = /^\((-?[\d.]+)\)$/.exec(numbers[0] ?? '')
    // four scores: neither Bayes nor DNS, DNS only, Bayes only, both. We ask DNS.
    const score = Number(relative ? relative[1] : numbers.length === 4 ? numbers[1] : numbers[0])
    if (!Number.isFinite(score) || numbers[0] === '') throw new Mistake(`"${value}" is no score`)
    this.scores.set(name, relative ? (this.scores.get(name) ?? 0) + score : score)
  }

  finish(): RuleSet {
    for (const rule of this.rules.values()) {
      rule.score = this.scores.get(rule.name)
      rule.description = this.descriptions.get(rule.name) ?? ''
      const words = this.flags.get(rule.name) ?? []
      rule.nice = words.includes('nice')
      if (words.includes('multiple')) {
        const maxHits = words.map((word) => /^maxhits=(\d+)$/.exec(word)?.[1]).find((count) => count !== undefined)
        rule.maxHits = maxHits === undefined ? 1000 : Math.max(1, Number(maxHits))
      }
    }
    return { rules: this.inOrder(), mistakes: this.mistakes }
  }

  /** Depth first. */
  private inOrder(): Rule[] {
    const ordered: Rule[] = []
    const visited = new Map<Rule, 'usable' | 'unusable'>()
    const open = new Set<Rule>()
    /** @returns why nothing can ask for it; undefined when it is among the ordered ones */
    const visit = (rule: Rule): string | undefined => {
      if (open.has(rule)) return 'asks for it in turn'
      if (open.size >= MAX_DEPTH) return `is behind ${MAX_DEPTH} other metas`
      if (!visited.has(rule)) {
        open.add(rule)
        const trouble = rule.test.kind === 'meta' ? troubleWith(rule.test.expression.names) : undefined
        open.delete(rule)
        visited.set(rule, trouble ? 'unusable' : 'usable')
        if (trouble) this.leaveOut(rule.where, `${rule.name} asks for ${trouble}`)
        else ordered.push(rule)
      }
      return visited.get(rule) === 'usable' ? undefined : LEFT_OUT
    }
    const troubleWith = (names: readonly string[]): string | undefined => {
      for (const name of names) {
        const other = this.rules.get(name)
        const why = other ? visit(other) : this.broken.has(name) ? LEFT_OUT : undefined
        if (why) return `${name}, which ${why}`
      }
      return undefined
    }
    for (const rule of this.rules.values()) visit(rule)
    return ordered
  }
}

/** "#" begins a comment unless it is escaped. */
function withoutComment(line: string): string {
  return line.replace(/(?<!\\)#.*$/, '').replaceAll('\\#', '#')
}

/** if (version >= 3.004), if !plugin(...), if can(...): we are a SpamAssassin 4 with a few plugins and no extras. */
function condition(text: string): boolean {
  const [, not, what = ''] = /^\(?\s*(!?)\s*\(?\s*([\s\S]*?)\s*\)*$/.exec(text) ?? []
  const plugin = /^plugin\s*\(\s*([\w:]+)/.exec(what)
  const compared = /^version\s*(>=|>|<=|<|==)\s*([\d.]+)/.exec(what)
  const holds = plugin
    ? PLUGINS.test(plugin[1] ?? '')
    : compared
      ? compareVersion(compared[1] ?? '', Number(compared[2]))
      : false
  return not === '!' ? !holds : holds
}

function compareVersion(operator: string, other: number): boolean {
  const ours = 4
  if (operator === '>=') return ours >= other
  if (operator === '>') return ours > other
  if (operator === '<=') return ours <= other
  return operator === '<' ? ours < other : ours === other
}

function parseTest(word: 'header' | 'body' | 'rawbody' | 'full' | 'uri' | 'meta', value: string): RuleTest {
  if (word === 'meta') return { kind: 'meta', expression: parseExpression(value) }
  const called = /^eval:(\w+)\s*\(([\s\S]*)\)$/.exec(value)
  if (called) {
    const [, name = '', list = ''] = called
    const evaluate = EVALUATIONS[name]
    if (!evaluate) throw new Mistake(`eval:${name} is not supported`)
    return {
      kind: 'eval',
      evaluate,
      parameters: [...list.matchAll(/'([^']*)'|"([^"]*)"|([\w.-]+)/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? ''),
    }
  }
  if (word === 'header') return parseHeaderTest(value)
  return { kind: word, regex: parseRegex(value) }
}

function parseHeaderTest(value: string): RuleTest {
  const exists = /^exists:([!-9;-~]+)$/.exec(value)
  if (exists) return { kind: 'exists', field: (exists[1] ?? '').toLowerCase() }
  const [, field, modifiers, operator, rest = ''] =
    /^([!-9;-~]+?)((?::(?:addr|name|raw|first))*)\s*(=~|!~)\s*([\s\S]+)$/.exec(value) ?? []
  if (field === undefined)
    throw new Mistake('a header rule needs "Field =~ /expression/", "exists:Field" or "eval:..."')
  const unset = /\s+\[if-unset:\s*([\s\S]*)\]$/.exec(rest)
  return {
    kind: 'header',
    field: field.toLowerCase(),
    part: (['addr', 'name', 'raw'] as const).find((one) => modifiers?.includes(`:${one}`)) ?? 'text',
    regex: parseRegex(unset ? rest.slice(0, unset.index) : rest),
    negated: operator === '!~',
    ifUnset: unset?.[1] ?? '',
  }
}

const CLOSING: Record<string, string> = { '{': '}', '(': ')', '[': ']', '<': '>' }

/** /re/flags, or m and any delimiter. Always with "g": the engine counts matches, or stops at the first. */
function parseRegex(text: string): RegExp {
  const [, delimiter = ''] = /^(?:m\s*)?([^\w\s])/.exec(text) ?? []
  const isSlash = text.startsWith('/')
  if (delimiter === '' || (!isSlash && !text.startsWith('m'))) throw new Mistake('an expression in slashes is missing')
  const start = text.indexOf(delimiter) + 1
  const end = text.lastIndexOf(CLOSING[delimiter] ?? delimiter)
  const flags = text.slice(end + 1).trim()
  if (end < start) throw new Mistake('the expression has no end')
  if (!/^[a-z]*$/.test(flags)) throw new Mistake(`"${flags.slice(0, 20)}" after the expression`)
  const source = text.slice(start, end)
  return translateRegex(
    isSlash ? source : source.replaceAll(`\\${delimiter}`, CLOSING[delimiter] ? `\\${delimiter}` : delimiter),
    flags,
    true,
  )
}
