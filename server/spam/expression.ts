/** The expressions of meta rules: rule names, numbers, arithmetic, comparison, logic. Pure. */

export class ExpressionError extends Error {
  override name = 'ExpressionError'
}

export interface Expression {
  /** Rules it asks for. */
  names: string[]
  /** @param hits how often a rule hit: 0 for no, and for a rule that does not exist */
  evaluate(hits: (name: string) => number): number
}

type Evaluate = (hits: (name: string) => number) => number
const MAX_TOKENS = 2000
const MAX_DEPTH = 100

/** Binding strength, weakest first, as in Perl. */
const LEVELS: Record<string, (a: number, b: number) => number>[] = [
  { '||': (a, b) => (a !== 0 ? a : b) },
  { '&&': (a, b) => (a !== 0 ? b : a) },
  { '==': (a, b) => Number(a === b), '!=': (a, b) => Number(a !== b) },
  {
    '<=': (a, b) => Number(a <= b),
    '>=': (a, b) => Number(a >= b),
    '<': (a, b) => Number(a < b),
    '>': (a, b) => Number(a > b),
  },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  { '*': (a, b) => a * b, '/': (a, b) => (b === 0 ? 0 : a / b), '%': (a, b) => (b === 0 ? 0 : a % b) },
]

/** @throws ExpressionError naming the place */
export function parseExpression(text: string): Expression {
  const tokens = text.match(/\|\||&&|[=!<>]=|[-+*/%<>!()]|\d+(?:\.\d+)?|\w+|\S/g) ?? []
  if (tokens.length > MAX_TOKENS) throw new ExpressionError('too long')
  const names = new Set<string>()
  let at = 0

  const operand = (depth: number): Evaluate => {
    if (depth > MAX_DEPTH) throw new ExpressionError('nested too deep')
    const token = tokens[at++]
    if (token === undefined) throw new ExpressionError('ends too early')
    if (token === '!') {
      const inner = operand(depth + 1)
      return (hits) => Number(inner(hits) === 0)
    }
    if (token === '-') {
      const inner = operand(depth + 1)
      return (hits) => -inner(hits)
    }
    if (token === '(') {
      const inner = level(0, depth + 1)
      if (tokens[at++] !== ')') throw new ExpressionError('")" is missing')
      return inner
    }
    if (/^\d/.test(token)) {
      const value = Number(token)
      return () => value
    }
    if (!/^[A-Za-z_]\w*$/.test(token)) throw new ExpressionError(`"${token}" is not expected here`)
    names.add(token)
    return (hits) => hits(token)
  }

  const level = (index: number, depth: number): Evaluate => {
    const operators = LEVELS[index]
    if (!operators) return operand(depth)
    let left = level(index + 1, depth)
    for (let apply = operators[tokens[at] ?? '']; apply; apply = operators[tokens[at] ?? '']) {
      at++
      const [a, b, combine] = [left, level(index + 1, depth), apply]
      left = (hits) => combine(a(hits), b(hits))
    }
    return left
  }

  const evaluate = level(0, 0)
  if (at < tokens.length) throw new ExpressionError(`"${tokens[at]}" is not expected here`)
  return { names: [...names], evaluate }
}
