/**
 * Remembers successful logins for ten minutes (a change of the account is told at once, by NOTIFY), so that an HTTP client with Basic authentication does not pay scrypt per
 * request. Keys are HMACs under a random key of this process: neither passwords nor anything to guess them from are kept.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { Account } from './accounts.ts'

const LIFETIME_MS = 600_000
const MAX_ENTRIES = 10_000

export interface SuccessCache {
  /** @returns the account of an earlier success, as it was then */
  get(login: string, password: string): Account | undefined
  add(login: string, password: string, account: Account): void
  forget(accountId: string): void
  clear(): void
}

export function createSuccessCache(now: () => Date): SuccessCache {
  const secret = randomBytes(32)
  const entries = new Map<string, { account: Account; until: number }>()
  const keyOf = (login: string, password: string) =>
    createHmac('sha256', secret)
      .update(`${Buffer.byteLength(login)}:${login}${password}`)
      .digest('base64')
  return {
    get(login, password) {
      const key = keyOf(login, password)
      const entry = entries.get(key)
      if (!entry) return undefined
      if (entry.until > now().getTime()) return entry.account
      entries.delete(key)
      return undefined
    },
    add(login, password, account) {
      const [oldest] = entries.keys()
      if (entries.size >= MAX_ENTRIES && oldest !== undefined) entries.delete(oldest)
      entries.set(keyOf(login, password), { account, until: now().getTime() + LIFETIME_MS })
    },
    forget(accountId) {
      for (const [key, entry] of entries) if (entry.account.id === accountId) entries.delete(key)
    },
    clear: () => entries.clear(),
  }
}
