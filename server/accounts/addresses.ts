/** Addresses as accounts compare them. */

/** An address taken apart; case does not matter anywhere in our domains (RFC 5321 §2.4 leaves local parts to the host). */
export interface LocalAddress {
  /** Lower case, without the detail: alice@example.org */
  address: string
  domain: string
  /** RFC 5233: what follows the first '+' of the local part. */
  detail: string | undefined
}

/** @returns undefined for what is not an address at all */
export function parseAddress(text: string): LocalAddress | undefined {
  const lower = text.normalize('NFC').toLowerCase()
  const at = lower.lastIndexOf('@')
  if (at < 1 || at === lower.length - 1 || lower.length > 320) return undefined
  const domain = lower.slice(at + 1).replace(/\.$/, '')
  const local = unquoted(lower.slice(0, at))
  const plus = local.indexOf('+')
  if (plus < 1) return { address: `${local}@${domain}`, domain, detail: undefined }
  return { address: `${local.slice(0, plus)}@${domain}`, domain, detail: local.slice(plus + 1) }
}

/** The whole address in lower case, detail included. */
export function normalizeAddress(text: string): string | undefined {
  const parsed = parseAddress(text)
  if (!parsed) return undefined
  const { address, domain, detail } = parsed
  return detail === undefined ? address : `${address.slice(0, -domain.length - 1)}+${detail}@${domain}`
}

/** "ann"@example.org is ann@example.org (RFC 5321 §4.1.2). */
function unquoted(local: string): string {
  return /^".*"$/s.test(local) ? local.slice(1, -1).replace(/\\(.)/gs, '$1') : local
}
