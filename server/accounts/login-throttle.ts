/** Failed logins per client network, over all protocols and replicas, so that guessing passwords is slow everywhere. */
import ipaddr from 'ipaddr.js'

export interface LoginThrottle {
  /** False once the address has failed too often within the hour. @throws Unavailable */
  allowed(address: string): Promise<boolean>
  /** Counts one failure. @throws Unavailable */
  failed(address: string): Promise<void>
}

/** Counts that all replicas share (server/spam/rate-counter.ts). */
interface Counter {
  add(key: string, amount: number, windowMs: number): Promise<number>
  count(key: string, windowMs: number): Promise<number>
}

const HOUR_MS = 3_600_000
/** An address that is fine is not asked about again so soon: a client that logs in often costs no statement each time. */
const REMEMBER_MS = 5_000
const MAX_REMEMBERED = 10_000

export function createLoginThrottle(options: {
  counter: Counter
  /** Read at each use. */
  failuresPerHour: () => number
  now: () => Date
}): LoginThrottle {
  const { counter, failuresPerHour, now } = options
  const fine = new Map<string, number>()
  return {
    async allowed(address) {
      const key = keyOf(address)
      if ((fine.get(key) ?? 0) > +now()) return true
      const allowed = (await counter.count(key, HOUR_MS)) < failuresPerHour()
      if (fine.size >= MAX_REMEMBERED) fine.clear()
      if (allowed) fine.set(key, +now() + REMEMBER_MS)
      return allowed
    },
    async failed(address) {
      const key = keyOf(address)
      fine.delete(key)
      await counter.add(key, 1, HOUR_MS)
    },
  }
}

/** IPv4 by address; IPv6 by /64, of which one client has all. */
function keyOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return `login:${address}`
  const bytes = ipaddr.IPv6.parse(address).toByteArray().slice(0, 8)
  return `login:${Buffer.from(bytes).toString('hex')}/64`
}
