/** The part of Kubernetes' JSONPath that CRDs use: `.a.b`, `\.` in names, `['a']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. */
import { at, isObject, type Json } from './json.ts'

type Step = (value: Json) => (Json | undefined)[]

/** @returns a reader of the first value that the path finds; undefined when the path itself is malformed */
export function compileJsonPath(path: string): ((value: Json) => Json | undefined) | undefined {
  const steps: Step[] = []
  let rest = path
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .replace(/^\$/, '')
  while (rest) {
    const next = nextStep(rest)
    if (!next) return undefined
    steps.push(next.step)
    rest = rest.slice(next.length)
  }
  return (value) => {
    let found: Json[] = [value]
    for (const step of steps) found = found.flatMap(step).filter((item) => item !== undefined)
    return found[0]
  }
}

function nextStep(text: string): { step: Step; length: number } | undefined {
  const field = /^\.?((?:\\.|[^.[\]\\])+)/.exec(text)
  if (field && !text.startsWith('[')) {
    const name = (field[1] ?? '').replace(/\\(.)/g, '$1')
    return { step: name === '*' ? members : (value) => [at(value, name)], length: field[0].length }
  }
  const quoted = /^\.?\[\s*(['"])(.*?)\1\s*\]/.exec(text)
  if (quoted) return { step: (value) => [at(value, quoted[2] ?? '')], length: quoted[0].length }
  const index = /^\[(-?\d+)\]/.exec(text)
  if (index)
    return { step: (value) => [Array.isArray(value) ? value.at(Number(index[1])) : undefined], length: index[0].length }
  const all = /^\[\*\]/.exec(text)
  if (all) return { step: members, length: all[0].length }
  const filter = /^\[\?\(\s*@((?:\.[A-Za-z0-9_-]+)+)\s*(==|!=)\s*(?:(['"])(.*?)\3|([^)\s]+))\s*\)\]/.exec(text)
  if (!filter) return undefined
  const [whole, below = '', operator, , string, bare] = filter
  const wanted = string ?? bare ?? ''
  const matches = (item: Json) => (String(at(item, ...below.slice(1).split('.'))) === wanted) === (operator === '==')
  return { step: (value) => members(value).filter((item) => item !== undefined && matches(item)), length: whole.length }
}

function members(value: Json): (Json | undefined)[] {
  if (Array.isArray(value)) return value
  return isObject(value) ? Object.values(value) : []
}
