/**
 * Asks the name servers of a zone themselves: a record that only some of them have is not published yet, whatever a
 * resolver's cache says. Servers that do not answer are left out: behind many firewalls none of them can be asked.
 */

import { type Lookups, type RecordState, type VerifiedRecord, verifyRecords } from './verify.ts'

export interface AuthoritativeDeps {
  /** The resolvers that find the name servers. */
  lookups: { resolve4(name: string): Promise<string[]>; resolveNs(name: string): Promise<string[]> }
  /** Lookups at one server. @param address an IP address */
  at: (address: string) => Lookups
}

const MAX_SERVERS = 6
const AT_ONCE = 8
/** A server that has not answered so often in a row is not asked again in this round: each wait is two seconds. */
const SILENT_AFTER = 2

/**
 * Looks the published ones among `records` up at every name server of their zones.
 * @returns all records, with the state that the least of the answering servers has
 */
export async function confirmAuthoritative(
  records: readonly VerifiedRecord[],
  { lookups, at }: AuthoritativeDeps,
  signal?: AbortSignal,
): Promise<VerifiedRecord[]> {
  const zones = new Map<string, Promise<string[]>>()
  /** By address, how often in a row it has not answered. */
  const silences = new Map<string, number>()
  const confirmed: VerifiedRecord[] = []
  const queue = records.entries()
  const worker = async () => {
    for (const [index, record] of queue) {
      if (record.state !== 'Published') {
        confirmed[index] = record
        continue
      }
      const servers = zones.get(record.domain) ?? serversOf(record.domain, lookups)
      zones.set(record.domain, servers)
      confirmed[index] = signal?.aborted
        ? { ...record, state: 'Unknown', found: 'not looked up in time' }
        : await leastOf(record, await servers, at, silences)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return confirmed
}

async function leastOf(
  record: VerifiedRecord,
  servers: readonly string[],
  at: AuthoritativeDeps['at'],
  silences: Map<string, number>,
): Promise<VerifiedRecord> {
  for (const address of servers) {
    if ((silences.get(address) ?? 0) >= SILENT_AFTER) continue
    const [seen] = await verifyRecords([record], at(address))
    silences.set(address, seen?.state === 'Unknown' ? (silences.get(address) ?? 0) + 1 : 0)
    if (seen && LACKING.includes(seen.state)) {
      return { ...record, state: seen.state, found: `name server ${address}: ${seen.found ?? 'no such record'}` }
    }
  }
  return record
}

const LACKING: readonly RecordState[] = ['Missing', 'Mismatch']

/** Addresses of the name servers of the zone that a domain is in: its own, or that of a parent. */
async function serversOf(domain: string, lookups: AuthoritativeDeps['lookups']): Promise<string[]> {
  const labels = domain.split('.')
  for (let first = 0; first < labels.length - 1; first++) {
    const names = await lookups.resolveNs(labels.slice(first).join('.')).catch(() => [])
    if (names.length === 0) continue
    const addresses = await Promise.all(names.sort().map((name) => lookups.resolve4(name).catch(() => [])))
    return addresses.flat().slice(0, MAX_SERVERS)
  }
  return []
}
