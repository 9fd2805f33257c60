/** Looks records up and says whether the world sees what it should. Bounded in time and in lookups at once. */

import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { DnsRecord } from './records.ts'

export type RecordState = 'Published' | 'Missing' | 'Mismatch' | 'Unknown'

export interface VerifiedRecord extends DnsRecord {
  state: RecordState
  /** What was found instead, or why nothing is known. */
  found?: string
}

/** The lookups a verification makes; node:dns/promises' Resolver is one. */
export type Lookups = Pick<
  Resolver,
  'resolve4' | 'resolve6' | 'resolveCname' | 'resolveMx' | 'resolveTxt' | 'resolveSrv' | 'resolvePtr'
>

const AT_ONCE = 8
const MAX_FOUND = 1024

/**
 * @param servers "address" or "address:port"; empty: the system's
 * @param patience for each try, and how many tries
 * @throws TypeError for a bad address
 */
export function createResolver(
  servers: readonly string[],
  patience: { timeout: number; tries: number } = { timeout: 3_000, tries: 2 },
): Resolver {
  const resolver = new Resolver(patience)
  if (servers.length > 0) resolver.setServers([...servers])
  return resolver
}

/** In the order of `records`. Never throws: what cannot be looked up is Unknown. */
export async function verifyRecords(
  records: readonly DnsRecord[],
  lookups: Lookups,
  signal?: AbortSignal,
): Promise<VerifiedRecord[]> {
  const verified: VerifiedRecord[] = []
  const queue = records.entries()
  const worker = async () => {
    for (const [index, record] of queue) {
      if (signal?.aborted) verified[index] = { ...record, state: 'Unknown', found: 'not looked up in time' }
      else verified[index] = await verifyRecord(record, lookups)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return verified
}

async function verifyRecord(record: DnsRecord, lookups: Lookups): Promise<VerifiedRecord> {
  try {
    const found = await LOOK[record.type](record, lookups)
    if (found.includes(record.value) || found.some((value) => sameValue(record, value))) {
      return { ...record, state: 'Published' }
    }
    if (found.length === 0) return { ...record, state: 'Missing' }
    return { ...record, state: 'Mismatch', found: found.sort().join(' | ').slice(0, MAX_FOUND) }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'ENOTFOUND' || code === 'ENODATA') return { ...record, state: 'Missing' }
    return { ...record, state: 'Unknown', found: `lookup failed: ${code || 'error'}` }
  }
}

const LOOK: Record<DnsRecord['type'], (record: DnsRecord, lookups: Lookups) => Promise<string[]>> = {
  A: ({ name }, dns) => dns.resolve4(name),
  AAAA: ({ name }, dns) => dns.resolve6(name),
  MX: async ({ name }, dns) => (await dns.resolveMx(name)).map((mx) => `${mx.priority} ${mx.exchange}.`),
  SRV: async ({ name }, dns) =>
    (await dns.resolveSrv(name)).map((srv) => `${srv.priority} ${srv.weight} ${srv.port} ${srv.name}.`),
  PTR: async ({ name }, dns) => (await dns.resolvePtr(name)).map((host) => `${host}.`),
  /** Several strings are one value (RFC 7208 §3.3, RFC 6376 §3.6.2.2); other texts at the name are others' business. */
  TXT: async ({ name, value }, dns) => {
    const texts = (await dns.resolveTxt(name)).map((strings) => strings.join(''))
    const version = value.split(/[; ]/)[0] ?? ''
    const alike = texts.filter((text) => text.trim().toLowerCase().startsWith(version.toLowerCase()))
    return alike.length > 0 || !name.includes('_') ? alike : texts
  },
  /** An alias may as well be published as the addresses it would lead to. */
  CNAME: async ({ name, value }, dns) => {
    const aliases = (await dns.resolveCname(name).catch(noneIfAbsent)).map((host) => `${host}.`)
    if (aliases.length > 0) return aliases
    const addresses = await dns.resolve4(name)
    const wanted = new Set(await dns.resolve4(value.replace(/\.$/, '')).catch(noneIfAbsent))
    return addresses.some((address) => wanted.has(address)) ? [value] : addresses
  },
}

function noneIfAbsent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return []
  throw error
}

/** Names without regard to case; tag lists without regard to spaces (RFC 6376 §3.2). */
function sameValue({ type, value }: DnsRecord, found: string): boolean {
  if (type === 'AAAA') return isIP(found) === 6 && canonicalAddress(found) === canonicalAddress(value)
  if (type !== 'TXT') return found.toLowerCase() === value.toLowerCase()
  if (!value.includes(';')) return found.trim().replace(/\s+/g, ' ') === value
  const tags = (text: string) =>
    text
      .split(';')
      .map((tag) => tag.replace(/\s+/g, ''))
      .filter(Boolean)
      .join(';')
  return tags(found) === tags(value)
}

const canonicalAddress = (address: string) => new URL(`http://[${address}]`).hostname
