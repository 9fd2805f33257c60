/**
 * What the TXT records at a name mean, judged as the standard's own readers do: order, spaces, tags with their default
 * value and further mechanisms make no difference. Pure.
 */

import { BlockList, isIP } from 'node:net'

/** Of the texts at a name those that a reader of `wanted` would look at; other texts are others' business. */
export function textsLike(wanted: string, texts: readonly string[]): string[] {
  // A DKIM key may lack its version (RFC 6376 §3.6.1), so that whatever is at a selector is taken for a key.
  if (versionOf(wanted) === 'dkim1') return [...texts]
  const alike = (list: readonly string[]) => list.filter((text) => versionOf(unquoted(text)) === versionOf(wanted))
  const records = alike(texts.filter((text) => !isQuoted(text)))
  // One in quotes of its own was meant to be it, which is worth telling where there is no other.
  return records.length > 0 ? records : alike(texts.filter(isQuoted))
}

/** True of a text that was published with the quotes of a zone file in it (RFC 1035 §5.1): no reader takes it for a record. */
const isQuoted = (text: string) => text.startsWith('"')
const unquoted = (text: string) => (isQuoted(text) ? text.slice(1) : text)

/**
 * @param alike what textsLike found: of two records none counts (SPF: RFC 7208 §4.5, DKIM: RFC 6376 §3.6.2.2, DMARC:
 *   RFC 7489 §6.6.3, MTA-STS: RFC 8461 §3.1, TLS-RPT: RFC 8460 §3)
 */
export function textsSay(wanted: string, alike: readonly string[]): boolean {
  const [text] = alike
  if (text === undefined || alike.length > 1 || isQuoted(text)) return false
  const version = versionOf(wanted)
  if (version === 'spf1') return spfCovers(text, wanted)
  const found = tagsOf(text)
  const says = SAYS[version]
  // Wherever there is a version it comes first (RFC 6376 §3.6.1, RFC 7489 §6.3).
  if (!says || (found.has('v') && [...found.keys()][0] !== 'v')) return false
  return says(found, tagsOf(wanted))
}

type Tags = ReadonlyMap<string, string>

const SAYS: Record<string, (found: Tags, wanted: Tags) => boolean> = {
  dkim1: dkimSays,
  dmarc1: dmarcSays,
  stsv1: (found, wanted) => found.get('id') === wanted.get('id'),
  tlsrptv1: (found, wanted) => includesAll(found.get('rua'), wanted.get('rua')),
}

/** RFC 6376 §3.6.1: tags that it does not know a verifier ignores, and so do we. */
function dkimSays(found: Tags, wanted: Tags): boolean {
  const holds = (tag: string, ...values: string[]) => {
    const listed = found.get(tag)?.split(':')
    return listed === undefined || values.some((value) => listed.includes(value))
  }
  return (
    found.get('p') === wanted.get('p') &&
    (found.get('k') ?? 'rsa') === wanted.get('k') &&
    holds('h', 'sha256') &&
    holds('s', '*', 'email') &&
    // A key in test mode is as good as none.
    found.get('t')?.split(':').includes('y') !== true
  )
}

/** RFC 7489 §6.3. Further receivers of reports take nothing from ours. */
function dmarcSays(found: Tags, wanted: Tags): boolean {
  const policy = (tags: Tags, tag: string) =>
    (tags.get(tag) ?? (tag === 'sp' ? tags.get('p') : DMARC_DEFAULTS[tag]))?.toLowerCase()
  return (
    ['p', 'sp', 'adkim', 'aspf', 'pct'].every((tag) => policy(found, tag) === policy(wanted, tag)) &&
    ['rua', 'ruf'].every((tag) => includesAll(found.get(tag), wanted.get(tag)))
  )
}

const DMARC_DEFAULTS: Record<string, string> = { adkim: 'r', aspf: 'r', pct: '100' }

/** Lists of URIs; a size limit behind one ("!10m", RFC 7489 §6.2) does not matter. */
function includesAll(found: string | undefined, wanted: string | undefined): boolean {
  const uris = (text: string | undefined) =>
    (text ?? '')
      .toLowerCase()
      .split(',')
      .map((uri) => uri.replace(/!\d+[kmgt]?$/, ''))
      .filter(Boolean)
  const listed = uris(found)
  return uris(wanted).every((uri) => listed.includes(uri))
}

/**
 * True when the found record lets all that ours lets, and refuses the rest: it may let more senders pass, and end in
 * ~all. What it says of anybody else by other qualifiers could hide ours, so that it is not looked into.
 */
function spfCovers(found: string, wanted: string): boolean {
  const theirs = mechanismsOf(found)
  const ours = mechanismsOf(wanted)
  if (theirs.join(' ') === ours.join(' ')) return true
  const last = theirs.pop()
  ours.pop()
  if (last !== '-all' && last !== '~all') return false
  if (theirs.some((mechanism) => /^([-~?]|all$)/.test(mechanism))) return false
  return ours.every((mechanism) => theirs.some((other) => other === mechanism || containsNetwork(other, mechanism)))
}

/** Without version and modifiers: redirect= does not count where there is an "all" (RFC 7208 §6.1). */
function mechanismsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(' ')
    .slice(1)
    .filter((term) => term !== '' && !/^[a-z][a-z0-9_.-]*=/.test(term))
    .map((term) => term.replace(/^\+/, ''))
}

/** "ip4:203.0.113.0/24" contains "ip4:203.0.113.7"; false for what is no network. */
function containsNetwork(outer: string, inner: string): boolean {
  const wide = networkOf(outer)
  const narrow = networkOf(inner)
  if (!wide || !narrow || wide.family !== narrow.family || wide.prefix > narrow.prefix) return false
  const list = new BlockList()
  list.addSubnet(wide.address, wide.prefix, wide.family)
  return list.check(narrow.address, narrow.family)
}

function networkOf(mechanism: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [, version, address = '', length] = /^ip([46]):([0-9a-f.:]+)(?:\/(\d{1,3}))?$/.exec(mechanism) ?? []
  const bits = version === '4' ? 32 : 128
  const prefix = Number(length ?? bits)
  if (String(isIP(address)) !== version || prefix > bits) return undefined
  return { address, prefix, family: version === '4' ? 'ipv4' : 'ipv6' }
}

/** "spf1", "dmarc1": lower case. "" where a text has none. */
function versionOf(text: string): string {
  const [, spf, other] = /^(?:v=(spf1)(?: |$)|\s*v\s*=\s*([a-z0-9]+)\s*(?:;|$))/i.exec(text) ?? []
  return (spf ?? other ?? '').toLowerCase()
}

/** A tag list (RFC 6376 §3.2) in its order, white space removed. */
function tagsOf(text: string): Tags {
  const tags = text.split(';').flatMap((tag): [string, string][] => {
    const [name = '', ...value] = tag.replace(/\s+/g, '').split('=')
    return name === '' ? [] : [[name.toLowerCase(), value.join('=')]]
  })
  return new Map(tags)
}
