/** Addresses and networks as text, checked as those parse them that will use them. */

import { isIP } from 'node:net'

export interface Network {
  family: 4 | 6
  bits: number
}

/** @returns undefined when `text` is no network in CIDR notation: "192.0.2.0/24", "2001:db8::/32" */
export function networkOf(text: string): Network | undefined {
  const [, address = '', digits = ''] = /^([^/%]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? []
  const family = isIP(address)
  const bits = Number(digits)
  if (family === 4) return bits <= 32 ? { family, bits } : undefined
  return family === 6 && bits <= 128 ? { family, bits } : undefined
}

/** The shortest prefix that anybody's load balancers need, and the share of all addresses that they may have together. */
const NARROWEST = { 4: 8, 6: 16 } as const
const LARGEST_SHARE = { 4: 2 ** -6, 6: 2 ** -14 } as const

/**
 * Why networks cannot be trusted to say where a connection comes from: whoever may say that may relay. Many networks
 * that are narrow each can be everybody together.
 */
export function trustProblem(networks: readonly string[]): string | undefined {
  const share = { 4: 0, 6: 0 }
  for (const text of new Set(networks)) {
    const network = networkOf(text)
    if (!network) continue // refused by itself
    if (network.bits < NARROWEST[network.family])
      return `the whole address space cannot be trusted, and ${text} is much of it`
    share[network.family] += 2 ** -network.bits
  }
  const family = ([4, 6] as const).find((name) => share[name] > LARGEST_SHARE[name])
  return family && `the whole address space cannot be trusted, and these are much of IPv${family} together`
}

/** "address" or "address:port", an IPv6 address with a port in brackets: what resolvers are given as. */
export function isResolver(text: string): boolean {
  if (isIP(text) && !text.includes('%')) return true
  const [, v6, v4, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([1-9][0-9]{0,4}))?$/.exec(text) ?? []
  const address = v6 === undefined ? isIP(v4 ?? '') === 4 : isIP(v6) === 6
  return address && Number(port ?? 53) <= 65_535
}

/** A name that can be looked up, with or without dots, or an address. */
export function isHost(text: string): boolean {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
  return isIP(text) !== 0 || (new RegExp(`^${label}(\\.${label})*$`).test(text) && !/(^|\.)[0-9]+$/.test(text))
}

/** http(s)://host[:port], no path. */
export function isEndpoint(text: string): boolean {
  return /^https?:\/\/[A-Za-z0-9.:[\]-]+\/?$/.test(text) && URL.canParse(text)
}
