/** The DNS records that a mail domain needs: a pure function of the domain, the server and its keys. */

import { createHash } from 'node:crypto'
import { isIP } from 'node:net'

/** ALIAS is of no RFC: the address records of a name that follow those of another, as DNS services offer them. */
export type RecordType = 'A' | 'AAAA' | 'ALIAS' | 'CNAME' | 'MX' | 'TXT' | 'SRV' | 'PTR' | 'CAA' | 'TLSA'

export interface DnsRecord {
  type: RecordType
  /** Fully qualified, no trailing dot. */
  name: string
  /** As a zone file has it; names end in a dot; the strings of a TXT record joined. */
  value: string
  /** The mail domain it belongs to; the host name for the server's own addresses. */
  domain: string
}

export interface DnsWishes {
  hostname: string
  domains: readonly {
    name: string
    dmarc: {
      policy: string
      subdomainPolicy?: string | undefined
      rua?: string | undefined
      ruf?: string | undefined
      pct?: number | undefined
      adkim?: string | undefined
      aspf?: string | undefined
    }
  }[]
  /** Where mail is answered: IP addresses or host names of a load balancer or Gateway. */
  addresses: readonly string[]
  /** Where HTTP for the domains' names is answered: addresses or host names of an Ingress or Gateway. Default: at the host name. */
  webAddresses?: readonly string[] | undefined
  dkim: readonly { domain: string; selector: string; txt: string }[]
  spfMechanisms: readonly string[]
  /** Host that foreign mail is sent through, when it is a name or address of its own. */
  relayHost?: string | undefined
  mtaSts: 'none' | 'testing' | 'enforce'
  /** Who may issue certificates for the server's names. Default: whoever the parent domain lets. */
  caa?: { issuers: readonly string[]; iodef?: string | undefined } | undefined
  /** TLSA data of the keys that port 25 may show: "3 1 1 …". */
  tlsa?: readonly string[] | undefined
}

/** Every record, by domain, in the order a person would read them. */
export function dnsRecords(wishes: DnsWishes): DnsRecord[] {
  return [...hostRecords(wishes), ...wishes.domains.flatMap((domain) => domainRecords(wishes, domain))]
}

function hostRecords(wishes: DnsWishes): DnsRecord[] {
  const { hostname, addresses, tlsa = [] } = wishes
  const record = (type: RecordType, value: string, name: string): DnsRecord => ({ type, name, value, domain: hostname })
  const forward = forwardTo(addresses, hostname, wishes).map((found) => record(...found, hostname))
  // Many receivers refuse mail from an address whose name does not lead back to it (RFC 5321 §4.1.4, M3AAWG).
  const reverse = addresses
    .filter((address) => isIP(address) !== 0)
    .map((address) => record('PTR', `${hostname}.`, reverseName(address)))
  return [
    ...forward,
    ...reverse,
    ...(forward.some(isAlias) ? [] : caa(wishes).map((value) => record('CAA', value, hostname))),
    ...tlsa.map((value) => record('TLSA', value, `_25._tcp.${hostname}`)), // RFC 7672 §2.2.3
  ]
}

/**
 * RFC 8659 §4. It stands at the very names of the certificate and never at a domain itself, where it would bind all
 * that the domain has elsewhere. At an alias nothing else may stand (RFC 1034 §3.6.2): issuers follow it to its target.
 */
function caa({ caa: wish }: DnsWishes): string[] {
  if (!wish) return []
  const iodef = wish.iodef === undefined ? [] : [`0 iodef "${wish.iodef}"`]
  return [...wish.issuers.map((issuer) => `0 issue "${issuer}"`), ...iodef]
}

const isAlias = ({ type }: DnsRecord) => type === 'CNAME'

/**
 * What leads from a name to where it is answered: addresses, or else one alias, because beside an alias nothing may stand
 * (RFC 1034 §3.6.2). A mail domain has MX and SPF, so that there only its address records can follow another name.
 */
function forwardTo(
  targets: readonly string[],
  name: string,
  { domains }: Pick<DnsWishes, 'domains'>,
): [type: RecordType, value: string][] {
  const addresses = targets.filter((target) => isIP(target) !== 0)
  if (addresses.length > 0) return addresses.map((address) => [isIP(address) === 4 ? 'A' : 'AAAA', address])
  const alias = domains.some((domain) => domain.name === name) ? 'ALIAS' : 'CNAME'
  return targets.slice(0, 1).map((target) => [alias, `${target}.`])
}

function domainRecords(wishes: DnsWishes, domain: DnsWishes['domains'][number]): DnsRecord[] {
  const { hostname } = wishes
  const at = (prefix: string) => `${prefix}.${domain.name}`
  const record = (type: RecordType, name: string, value: string): DnsRecord => ({
    type,
    name,
    value,
    domain: domain.name,
  })
  const keys = wishes.dkim.filter((key) => key.domain === domain.name)
  const records = [
    record('MX', domain.name, `10 ${hostname}.`),
    record('TXT', domain.name, spf(wishes)),
    ...keys.map((key) => record('TXT', at(`${key.selector}._domainkey`), key.txt)),
    record('TXT', at('_dmarc'), dmarc(domain.dmarc)),
    record('TXT', at('_smtp._tls'), `v=TLSRPTv1; rua=${domain.dmarc.rua ?? `mailto:postmaster@${domain.name}`}`),
    record('SRV', at('_submissions._tcp'), `0 1 465 ${hostname}.`), // RFC 8314 §5.1
    record('SRV', at('_submission._tcp'), `10 1 587 ${hostname}.`), // RFC 6186 §3.1
    record('SRV', at('_imaps._tcp'), `0 1 993 ${hostname}.`),
    record('SRV', at('_jmap._tcp'), `0 1 443 ${hostname}.`), // RFC 8620 §2.2
  ]
  // A name that is the server's own already has its records; a CNAME may not stand beside them (RFC 1034 §3.6.2).
  const targets = wishes.webAddresses?.length ? wishes.webAddresses : [hostname]
  const web = (name: string): DnsRecord[] => {
    if (name === hostname) return []
    const addresses = forwardTo(targets, name, wishes).map(([type, value]) => record(type, name, value))
    return addresses.some(isAlias)
      ? addresses
      : [...addresses, ...caa(wishes).map((value) => record('CAA', name, value))]
  }
  records.push(...web(at('autoconfig')), ...web(at('autodiscover')))
  if (wishes.mtaSts !== 'none') {
    records.push(record('TXT', at('_mta-sts'), `v=STSv1; id=${mtaStsId(wishes)}`), ...web(at('mta-sts')))
  }
  return records
}

/** RFC 7208. */
function spf({ addresses, spfMechanisms, relayHost }: DnsWishes): string {
  const own = addresses.flatMap((address) => (isIP(address) ? [`ip${isIP(address)}:${address}`] : []))
  const relay =
    relayHost === undefined ? [] : [isIP(relayHost) ? `ip${isIP(relayHost)}:${relayHost}` : `a:${relayHost}`]
  return ['v=spf1', 'mx', ...own, ...relay, ...spfMechanisms, '-all'].join(' ')
}

/** RFC 7489 §6.3. */
function dmarc(policy: DnsWishes['domains'][number]['dmarc']): string {
  const tags: [string, string | number | undefined][] = [
    ['v', 'DMARC1'],
    ['p', policy.policy],
    ['sp', policy.subdomainPolicy],
    ['adkim', policy.adkim],
    ['aspf', policy.aspf],
    ['pct', policy.pct],
    ['rua', policy.rua],
    ['ruf', policy.ruf],
  ]
  return tags.flatMap(([tag, value]) => (value === undefined ? [] : [`${tag}=${value}`])).join('; ')
}

/** How long senders keep an MTA-STS policy that they have seen (RFC 8461 §3.2). */
export const MTA_STS_MAX_AGE_SECONDS = 604_800

/** Changes when the policy does, which is what makes senders fetch it again (RFC 8461 §3.1): of all that the engine puts in. */
function mtaStsId({ hostname, mtaSts }: DnsWishes): string {
  return createHash('sha256').update(`${mtaSts} ${hostname} ${MTA_STS_MAX_AGE_SECONDS}`).digest('hex').slice(0, 16)
}

/** "4.3.2.1.in-addr.arpa" (RFC 1035 §3.5), "…ip6.arpa" (RFC 3596 §2.5). */
export function reverseName(address: string): string {
  if (isIP(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const missing = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(Math.max(0, missing)).fill('0'), ...groups(tail)]
  const nibbles = all.map((group) => group.padStart(4, '0')).join('')
  return `${[...nibbles].reverse().join('.')}.ip6.arpa`
}
