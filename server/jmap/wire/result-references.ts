/** References to results of earlier calls (RFC 8620 §3.7). Pure. */
import { MethodError } from './errors.ts'

/** [name, arguments, method call id] (RFC 8620 §3.2). */
export type Invocation = [name: string, args: Record<string, unknown>, callId: string]

/** A path that names more values than this is a mistake or an attack. */
const MAX_VALUES = 100_000

/**
 * Arguments with every `#name` replaced by what it refers to.
 * @throws MethodError invalidArguments when both `name` and `#name` are given; invalidResultReference
 */
export function resolveReferences(
  args: Record<string, unknown>,
  results: readonly Invocation[],
): Record<string, unknown> {
  const names = Object.keys(args)
  if (!names.some((name) => name.startsWith('#'))) return args
  const resolved: Record<string, unknown> = {}
  for (const name of names) {
    if (!name.startsWith('#')) resolved[name] = args[name]
    else if (Object.hasOwn(args, name.slice(1)))
      throw new MethodError('invalidArguments', `${name} and ${name.slice(1)} are both given`)
    else resolved[name.slice(1)] = resolve(args[name], results)
  }
  return resolved
}

function resolve(reference: unknown, results: readonly Invocation[]): unknown {
  const { resultOf, name, path } = (typeof reference === 'object' && reference !== null ? reference : {}) as Record<
    string,
    unknown
  >
  if (typeof resultOf !== 'string' || typeof name !== 'string' || typeof path !== 'string') {
    throw new MethodError('invalidResultReference', 'a result reference has resultOf, name and path')
  }
  const result = results.find(([, , callId]) => callId === resultOf)
  if (!result || result[0] !== name)
    throw new MethodError('invalidResultReference', `no result ${name} of call ${resultOf}`)
  return pointer(result[1], path)
}

/** JSON Pointer (RFC 6901) with `*` for each item of an array, flattening what arrays come out of it. */
function pointer(value: unknown, path: string): unknown {
  if (path === '') return value
  if (!path.startsWith('/')) throw new MethodError('invalidResultReference', `path ${path} does not begin with /`)
  const tokens = path
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
  return walk(value, tokens, 0, path)
}

function walk(value: unknown, tokens: string[], index: number, path: string): unknown {
  const token = tokens[index]
  if (token === undefined) return value
  const missing = () => new MethodError('invalidResultReference', `path ${path} leads nowhere`)
  if (Array.isArray(value)) {
    if (token === '*') {
      const values = value.flatMap((item) => walk(item, tokens, index + 1, path))
      if (values.length > MAX_VALUES)
        throw new MethodError('invalidResultReference', `path ${path} names too many values`)
      return values
    }
    if (!/^(0|[1-9]\d*)$/.test(token) || Number(token) >= value.length) throw missing()
    return walk(value[Number(token)], tokens, index + 1, path)
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) throw missing()
  return walk(Reflect.get(value, token), tokens, index + 1, path)
}
