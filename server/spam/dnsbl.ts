/** DNS block lists (RFC 5782): is a client's address listed in a zone? */
import ipaddr from 'ipaddr.js'
import type { DnsResolver } from '../senderauth/resolver.ts'
import type { Hit } from './engine.ts'

const DEADLINE_MS = 2_000

/** 192.0.2.1 becomes "1.2.0.192"; an IPv6 address its 32 nibbles, last first (§2.1, §2.4). */
export function reversedAddress(address: string): string | undefined {
  if (!ipaddr.isValid(address)) return undefined
  const parsed = ipaddr.process(address)
  const bytes = parsed.toByteArray()
  if (parsed.kind() === 'ipv4') return bytes.reverse().join('.')
  return [...Buffer.from(bytes).toString('hex')].reverse().join('.')
}

/** "zen.example.org" gives RCVD_IN_ZEN_EXAMPLE_ORG, which meta rules may ask for. */
export const zoneRuleName = (zone: string): string => `RCVD_IN_${zone.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`

/**
 * Asks all zones at once. What does not answer in time is not listed.
 * Listings are addresses in 127.0.0.0/8 (§2.1); 127.255.255.0/24 is how lists say that they refuse the question.
 */
export async function lookUpZones(
  clientAddress: string,
  zones: readonly { zone: string; score: number }[],
  resolver: Pick<DnsResolver, 'resolve4'>,
  deadlineMs = DEADLINE_MS,
): Promise<Hit[]> {
  const reversed = reversedAddress(clientAddress)
  if (zones.length === 0 || reversed === undefined || !isPublic(clientAddress)) return []
  const late = Promise.withResolvers<string[]>()
  const timer = setTimeout(() => late.resolve([]), deadlineMs)
  try {
    const answers = await Promise.all(
      zones.map(({ zone }) =>
        Promise.race([resolver.resolve4(`${reversed}.${zone}`), late.promise]).catch((): string[] => []),
      ),
    )
    return zones.flatMap(({ zone, score }, index) =>
      answers[index]?.some(isListing)
        ? [{ name: zoneRuleName(zone), score, description: `Client address is listed in ${zone}` }]
        : [],
    )
  } finally {
    clearTimeout(timer)
  }
}

const isListing = (answer: string): boolean => answer.startsWith('127.') && !answer.startsWith('127.255.255.')

/** Addresses of our own networks are in no public list; loopback is asked for, lists have 127.0.0.2 for tests (§5). */
function isPublic(address: string): boolean {
  const range = ipaddr.process(address).range()
  return range !== 'private' && range !== 'uniqueLocal' && range !== 'linkLocal'
}
