/** Looks records up and says whether the world sees what it should. Bounded in time and in lookups at once. */

import { Resolver } from 'node:dns/promises'
import type { DnsRecord } from './records.ts'
import { textsLike, textsSay } from './texts.ts'

export type RecordState = 'Published' | 'Missing' | 'Mismatch' | 'Unknown'

export interface VerifiedRecord extends DnsRecord {
  state: RecordState
  /** What was found instead, or why nothing is known. */
  found?: string
}

/** The lookups a verification makes; node:dns/promises' Resolver is one. */
export type Lookups = Pick<
  Resolver,
  | 'resolve4'
  | 'resolve6'
  | 'resolveCname'
  | 'resolveMx'
  | 'resolveTxt'
  | 'resolveSrv'
  | 'resolvePtr'
  | 'resolveCaa'
  | 'resolveTlsa'
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
  const values = new Map<string, string[]>()
  for (const { type, name, value } of records) {
    values.set(`${type} ${name}`, [...(values.get(`${type} ${name}`) ?? []), value])
  }
  const valuesAt = ({ type, name }: DnsRecord) => values.get(`${type} ${name}`) ?? []
  const worker = async () => {
    for (const [index, record] of queue) {
      if (signal?.aborted) verified[index] = { ...record, state: 'Unknown', found: 'not looked up in time' }
      else verified[index] = await verifyRecord(record, lookups, valuesAt(record))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return verified
}

/** @param wanted all values that are wanted under this name and type */
async function verifyRecord(record: DnsRecord, lookups: Lookups, wanted: readonly string[]): Promise<VerifiedRecord> {
  try {
    const found = await LOOK[record.type](record, lookups)
    if (found.length === 0) return { ...record, state: 'Missing' }
    if (HOLDS[record.type](record.value, found, wanted)) return { ...record, state: 'Published' }
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
  CAA: async ({ name }, dns) =>
    (await dns.resolveCaa(name)).flatMap(({ critical, ...properties }) =>
      Object.entries(properties).map(([tag, value]) => `${critical} ${tag} "${value}"`),
    ),
  TLSA: async ({ name }, dns) =>
    (await dns.resolveTlsa(name)).map(
      ({ certUsage, selector, match, data }) =>
        `${certUsage} ${selector} ${match} ${Buffer.from(data).toString('hex')}`,
    ),
  /** Several strings are one value (RFC 7208 §3.3, RFC 6376 §3.6.2.2). */
  TXT: async ({ name, value }, dns) => {
    const texts = (await dns.resolveTxt(name)).map((strings) => strings.join(''))
    const alike = textsLike(value, texts)
    return alike.length > 0 || !name.includes('_') ? alike : texts
  },
  /** An alias may as well be published as the addresses it would lead to. */
  CNAME: async ({ name, value }, dns) => {
    const aliases = (await dns.resolveCname(name).catch(noneIfAbsent)).map((host) => `${host}.`)
    return aliases.length > 0 ? aliases : followed(name, value, dns)
  },
  ALIAS: ({ name, value }, dns) => followed(name, value, dns),
}

/** `value` itself where the name has an address of it, else the addresses that it has. */
async function followed(name: string, value: string, dns: Lookups): Promise<string[]> {
  const addresses = await dns.resolve4(name)
  const wanted = new Set(await dns.resolve4(value.replace(/\.$/, '')).catch(noneIfAbsent))
  return addresses.some((address) => wanted.has(address)) ? [value] : addresses
}

function noneIfAbsent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return []
  throw error
}

type Holds = (value: string, found: readonly string[], wanted: readonly string[]) => boolean

/** Names without regard to case; others may stand beside it. */
const isAmong: Holds = (value, found) => found.some((other) => other.toLowerCase() === value.toLowerCase())

const HOLDS: Record<DnsRecord['type'], Holds> = {
  A: isAmong,
  AAAA: (value, found) => found.some((other) => canonicalAddress(other) === canonicalAddress(value)),
  CNAME: isAmong,
  ALIAS: isAmong,
  PTR: isAmong,
  SRV: isAmong,
  // Any match lets a connection be (RFC 6698 §2.1, RFC 7671 §8): those of keys to come may be there already.
  TLSA: isAmong,
  MX: isFirstExchange,
  CAA: restrictsTo,
  TXT: textsSay,
}

/** Mail goes to the host of least preference first (RFC 5321 §5.1): ours alone. Others behind it are a backup. */
function isFirstExchange(value: string, found: readonly string[]): boolean {
  const exchanges = found.map((text) => {
    const [preference, host = ''] = text.toLowerCase().split(' ')
    return { preference: Number(preference), host }
  })
  const least = Math.min(...exchanges.map(({ preference }) => preference))
  return exchanges.every(({ preference, host }) => preference > least || value.toLowerCase().endsWith(` ${host}`))
}

/** An issuer that was not asked for undoes the restriction. Whether a known property is critical makes no difference. */
function restrictsTo(value: string, found: readonly string[], wanted: readonly string[]): boolean {
  const property = (text: string) =>
    text
      .replace(/^\d+ /, '')
      .replace(/\s*;\s*/g, ';')
      .toLowerCase()
  const asked = wanted.map(property)
  const there = found.map(property)
  return there.includes(property(value)) && there.every((one) => !one.startsWith('issue ') || asked.includes(one))
}

const canonicalAddress = (address: string) => new URL(`http://[${address}]`).hostname
