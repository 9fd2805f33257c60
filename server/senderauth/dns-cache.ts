/**
 * Remembers DNS answers for seconds: a sender's burst asks the same few questions for every message, and each lost datagram
 * costs a second. Short enough that a changed record holds almost at once, whatever its TTL.
 */
import type { DnsResolver } from './resolver.ts'

const LIFETIME_MS = 10_000
const MAX_ENTRIES = 10_000

/** "No such name" and "no such record" are answers; time-outs and server failures are asked again. */
const ANSWERS = new Set(['ENOTFOUND', 'ENODATA'])

/** @returns the same resolver; questions asked at the same time are asked once */
export function withDnsCache(resolver: DnsResolver, now: () => number = Date.now): DnsResolver {
  const entries = new Map<string, { answer: Promise<unknown>; until: number }>()

  function remember<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const known = entries.get(key)
    if (known && known.until > now()) return known.answer as Promise<T>
    const [oldest] = entries.keys()
    if (entries.size >= MAX_ENTRIES && oldest !== undefined) entries.delete(oldest)
    const answer = ask()
    const entry = { answer, until: now() + LIFETIME_MS }
    entries.delete(key)
    entries.set(key, entry)
    answer.catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (!ANSWERS.has(code) && entries.get(key) === entry) entries.delete(key)
    })
    return answer
  }

  const lower = (name: string) => name.toLowerCase()
  return {
    resolve: (...args: [string, string?]) =>
      remember(`${args[1] ?? 'A'} ${lower(args[0])}`, () => resolver.resolve(...(args as [string]))),
    resolve4: (name: string) => remember(`4 ${lower(name)}`, () => resolver.resolve4(name)),
    resolve6: (name: string) => remember(`6 ${lower(name)}`, () => resolver.resolve6(name)),
    resolveMx: (name: string) => remember(`MX ${lower(name)}`, () => resolver.resolveMx(name)),
    resolveTxt: (name: string) => remember(`TXT ${lower(name)}`, () => resolver.resolveTxt(name)),
  } as DnsResolver
}
