/** Where the mail for a domain goes: MX, null MX, the domain's own address, and what is no way at all (RFC 5321 §5). */
import ipaddr from 'ipaddr.js'
import { type DnsResolver, isNoSuchName, isNoSuchRecord } from '../senderauth/resolver.ts'
import { ownReply, type Reply } from './reply.ts'

/** Hosts tried for one delivery; the rest waits for the next attempt. */
const MAX_HOSTS = 5
const MAX_ADDRESSES_PER_HOST = 4

export type Route = { hosts: string[] } | { reply: Reply }

/**
 * The hosts for a domain, best first; equal preferences in random order (§5.1).
 * @param hostname ours: when it is among the hosts, those of the same and of worse preference are no way (§5.1)
 */
export async function routeOf(domain: string, hostname: string, resolver: DnsResolver): Promise<Route> {
  const literal = /^\[(?:ipv6:)?([^\]]+)\]$/i.exec(domain)?.[1]
  if (literal !== undefined) return { hosts: [literal] }
  let records: { exchange: string; priority: number }[]
  try {
    records = await resolver.resolveMx(domain)
  } catch (error) {
    if (isNoSuchName(error)) return { reply: ownReply('5.1.2', `The domain ${domain} does not exist`) }
    if (!isNoSuchRecord(error)) return { reply: ownReply('4.4.3', `DNS gives no answer about ${domain}`) }
    return { hosts: [domain] } // §5.1: without MX records the domain itself is the host
  }
  // RFC 7505: a single MX "." says that there is no mail here
  if (records.length === 1 && ['', '.'].includes(records[0]?.exchange ?? ''))
    return { reply: ownReply('5.1.10', `The domain ${domain} takes no mail`) }
  const sorted = records
    .map((record) => ({ ...record, exchange: record.exchange.toLowerCase().replace(/\.$/, ''), order: Math.random() }))
    .sort((a, b) => a.priority - b.priority || a.order - b.order)
  const ours = sorted.find((record) => record.exchange === hostname)
  const usable = ours ? sorted.filter((record) => record.priority < ours.priority) : sorted
  if (usable.length === 0) return { reply: ownReply('5.4.6', `The MX of ${domain} is this server: a mail loop`) }
  return { hosts: usable.slice(0, MAX_HOSTS).map((record) => record.exchange) }
}

/**
 * Addresses of a host, IPv6 after IPv4: clusters often have no way out by IPv6.
 * @param allowPrivate false: addresses inside networks (loopback, private, link-local) are left out, so that a stranger's
 *   MX record cannot point mail at the cluster
 */
export async function addressesOf(
  host: string,
  resolver: DnsResolver,
  allowPrivate: boolean,
): Promise<{ addresses: string[] } | { reply: Reply }> {
  const found: string[] = []
  let trouble = false
  if (ipaddr.isValid(host)) found.push(host)
  else
    for (const answer of await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]))
      if (answer.status === 'fulfilled') found.push(...answer.value)
      else trouble ||= !isNoSuchName(answer.reason) && !isNoSuchRecord(answer.reason)
  const addresses = found.filter((address) => allowPrivate || ipaddr.process(address).range() === 'unicast')
  if (addresses.length > 0) return { addresses: addresses.slice(0, MAX_ADDRESSES_PER_HOST) }
  if (found.length > 0) return { reply: ownReply('5.4.4', `${host} has only addresses inside private networks`) }
  if (trouble) return { reply: ownReply('4.4.3', `DNS gives no answer about ${host}`) }
  return { reply: ownReply('5.4.4', `${host} has no address`) }
}
