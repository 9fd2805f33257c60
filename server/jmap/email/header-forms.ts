/** Header fields in JMAP's parsed forms (RFC 8621 §4.1.2) and the `header:` properties that ask for them (§4.1.3). Pure. */
import { type Address, addressText, namedAddresses, parseAddresses } from '../../message/addresses.ts'
import { parseDate } from '../../message/dates.ts'
import { humanText } from '../../message/encoded-words.ts'
import { type HeaderField, unfold } from '../../message/headers.ts'
import { parseMessageIds } from '../../message/message-ids.ts'
import type { NamedAddress } from '../../message/types.ts'

export type HeaderForm = 'Raw' | 'Text' | 'Addresses' | 'GroupedAddresses' | 'MessageIds' | 'Date' | 'URLs'

/** `header:{field name}[:as{form}][:all]` taken apart. */
export interface HeaderProperty {
  field: string
  form: HeaderForm
  all: boolean
}

export interface AddressGroup {
  name: string | null
  addresses: NamedAddress[]
}

const ADDRESS_FIELDS =
  'from sender reply-to to cc bcc resent-from resent-sender resent-reply-to resent-to resent-cc resent-bcc'
const ID_FIELDS = 'message-id in-reply-to references resent-message-id'
const URL_FIELDS = 'list-help list-unsubscribe list-subscribe list-post list-owner list-archive'
const TEXT_FIELDS = 'subject comments keywords list-id'
const ALLOWED: ReadonlyMap<string, readonly HeaderForm[]> = new Map<string, readonly HeaderForm[]>([
  ...ADDRESS_FIELDS.split(' ').map((name) => [name, ['Addresses', 'GroupedAddresses']] as const),
  ...ID_FIELDS.split(' ').map((name) => [name, ['MessageIds']] as const),
  ...URL_FIELDS.split(' ').map((name) => [name, ['URLs']] as const),
  ...TEXT_FIELDS.split(' ').map((name) => [name, ['Text']] as const),
  ['date', ['Date']],
  ['resent-date', ['Date']],
  ['return-path', []],
  ['received', []],
])
const FORMS = new Set<string>(['Raw', 'Text', 'Addresses', 'GroupedAddresses', 'MessageIds', 'Date', 'URLs'])

/** @returns undefined when it is no valid header property: wrong syntax, or a form that the field must not be asked in */
export function parseHeaderProperty(property: string): HeaderProperty | undefined {
  const match = /^header:([\x21-\x39\x3b-\x7e]+)(?::as([A-Za-z]+))?(:all)?$/.exec(property)
  if (!match?.[1]) return undefined
  const [, field, form = 'Raw', all] = match
  if (!FORMS.has(form)) return undefined
  const allowed = ALLOWED.get(field.toLowerCase())
  // A field that no RFC of the list defines may be asked in any form (§4.1.2).
  if (form !== 'Raw' && allowed && !allowed.includes(form as HeaderForm)) return undefined
  return { field, form: form as HeaderForm, all: all !== undefined }
}

/** Value of a header property: null, or [] with `:all`, when the field is absent; the last field wins without `:all`. */
export function headerValue(fields: readonly HeaderField[], { field, form, all }: HeaderProperty): unknown {
  const values = fields
    .filter(({ name }) => name.toLowerCase() === field.toLowerCase())
    .map(({ value }) => inForm(value, form))
  return all ? values : (values.at(-1) ?? null)
}

/** One field's value in one form. */
export function inForm(value: string, form: HeaderForm): unknown {
  switch (form) {
    case 'Raw':
      return value.replaceAll('\0', '')
    case 'Text':
      return asText(value)
    case 'Addresses':
      return namedAddresses(parseAddresses(unfold(value)))
    case 'GroupedAddresses':
      return asGroups(parseAddresses(unfold(value)))
    case 'MessageIds': {
      const ids = parseMessageIds(unfold(value))
      return ids.length > 0 ? ids : null
    }
    case 'Date':
      return asDate(unfold(value))
    case 'URLs':
      return asUrls(unfold(value))
  }
}

/** §4.1.2.2. */
export const asText = (value: string) => humanText(unfold(value)).trim()

/** The Date type (RFC 8620 §1.4): the offset that was written stays. null when it is no date. */
export function asDate(value: string): string | null {
  const date = parseDate(value)
  if (!date) return null
  const zone = /([+-])(\d{2}):?(\d{2})\s*(?:\(.*\)\s*)*$/.exec(value.trim())
  const [, sign, hours = '00', minutes = '00'] = zone ?? []
  const offset = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
  const local = new Date(date.getTime() + offset * 60_000).toISOString().replace(/\.\d+Z$/, '')
  return offset === 0 ? `${local}Z` : `${local}${sign}${hours}:${minutes}`
}

/** §4.1.2.4: mailboxes outside a group come in groups whose name is null. */
function asGroups(addresses: readonly Address[]): AddressGroup[] {
  const groups: AddressGroup[] = []
  let inGroup = false
  for (const address of addresses) {
    if (address.kind === 'groupStart') {
      groups.push({ name: humanText(address.name), addresses: [] })
      inGroup = true
    } else if (address.kind === 'groupEnd') inGroup = false
    else {
      let group = groups.at(-1)
      if (!group || (!inGroup && group.name !== null)) {
        group = { name: null, addresses: [] }
        groups.push(group)
      }
      group.addresses.push(...namedAddresses([address]))
    }
  }
  return groups
}

/** §4.1.2.7. */
function asUrls(value: string): string[] | null {
  const urls = [...value.matchAll(/<([^<>]*)>/g)].map((match) => (match[1] ?? '').replace(/\s/g, ''))
  return urls.length > 0 ? urls : null
}

/** IMAP's ENVELOPE addresses (raw names, groups as markers) for people. */
export function envelopeToNamed(addresses: readonly [string | null, string | null, string | null][]): NamedAddress[] {
  return addresses
    .filter(([, mailbox, host]) => mailbox !== null && host !== null)
    .map(([name, mailbox, host]) => ({
      name: name === null ? null : humanText(name).trim() || null,
      email: addressText(mailbox ?? '', host ?? ''),
    }))
}
