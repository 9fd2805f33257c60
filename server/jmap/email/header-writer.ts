/** Writes header fields in the forms that Email/set takes (RFC 8621 §4.6): RFC 5322 with encoded-words (RFC 2047). Pure. */
import { z } from 'zod'
import { invalidProperties } from '../wire/errors.ts'
import type { HeaderProperty } from './header-forms.ts'

const LINE = 76

const address = z.strictObject({ name: z.string().nullish(), email: z.string().min(1).max(1000) })
const addresses = z.array(address).max(10_000)
const groups = z.array(z.strictObject({ name: z.string().nullish(), addresses })).max(1000)

/**
 * The field with its CRLF, folded; '' for an empty list.
 * @param property how the client called it, for the error
 * @throws ObjectRefused invalidProperties
 */
export function writeField(
  property: string,
  { field, form }: Pick<HeaderProperty, 'field' | 'form'>,
  value: unknown,
): string {
  const checked = <Schema extends z.ZodType>(schema: Schema): z.output<Schema> => {
    const result = schema.safeParse(value)
    if (!result.success) throw invalidProperties([property], result.error.issues[0]?.message)
    return result.data
  }
  switch (form) {
    case 'Raw': {
      const raw = checked(z.string().max(100_000)).trim()
      // A line break that is no folding would start another field.
      if (/\0|\r(?!\n[ \t])|(?<!\r)\n|\r\n(?![ \t])/.test(raw))
        throw invalidProperties([property], 'has a bare line break')
      return `${field}: ${raw}\r\n`
    }
    case 'Text':
      return fold(field, encodeText(checked(z.string().max(100_000))))
    case 'Addresses':
      return foldList(
        field,
        checked(addresses).map((one) => writeAddress(one, property)),
      )
    case 'GroupedAddresses':
      return foldList(
        field,
        checked(groups).flatMap((group) => writeGroup(group, property)),
      )
    case 'MessageIds':
      return foldList(
        field,
        checked(z.array(z.string().regex(/^[^\s<>]{1,998}$/)).max(1000)).map((id) => `<${id}>`),
        ' ',
      )
    case 'Date':
      return `${field}: ${writeDate(checked(z.iso.datetime({ offset: true })))}\r\n`
    case 'URLs':
      return foldList(
        field,
        checked(z.array(z.string().regex(/^[^\s<>]{1,2000}$/)).max(100)).map((url) => `<${url}>`),
      )
  }
}

/** RFC 5322 §3.3, in the offset that was given. @param text RFC 3339 */
export function writeDate(text: string): string {
  const zone = /([+-])(\d{2}):(\d{2})$/.exec(text)
  const [, sign = '+', hours = '00', minutes = '00'] = zone ?? []
  const offset = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
  const local = new Date(Date.parse(text) + offset * 60_000)
  return local.toUTCString().replace('GMT', `${sign}${hours}${minutes}`)
}

function writeAddress({ name, email }: z.output<typeof address>, property: string): string {
  // Letters beyond ASCII are RFC 6532's; control characters, brackets and spaces are nobody's.
  if (!/^(?:"[^"\r\n\0]*"|[^\s<>()[\],;:\\"\x00-\x1f]+)(?:@[^\s<>()\\,;:"\x00-\x1f]+)?$/.test(email)) {
    throw invalidProperties([property], `${email.slice(0, 100)} is no address`)
  }
  return name ? `${encodePhrase(name)} <${email}>` : email
}

function writeGroup(group: z.output<typeof groups>[number], property: string): string[] {
  const members = group.addresses.map((one) => writeAddress(one, property))
  return group.name == null ? members : [`${encodePhrase(group.name)}: ${members.join(', ')};`]
}

function encodePhrase(name: string): string {
  if (/[^\x20-\x7e]/.test(name) || name.includes('=?')) return encodedWords(name)
  return /^[\w !#$%&'*+\-/=?^`{|}~]+$/.test(name) ? name : `"${name.replace(/[\\"]/g, '\\$&')}"`
}

function encodeText(text: string): string {
  const line = text.replace(/[\r\n\t]+/g, ' ').trim()
  return /[^\x20-\x7e]/.test(line) || line.includes('=?') ? encodedWords(line) : line
}

/** Whole characters in encoded-words of at most 75 characters (RFC 2047 §2), in base64. */
function encodedWords(text: string): string {
  const words: string[] = []
  let chunk = ''
  for (const character of text.replace(/[\0-\x1f\x7f]/g, ' ')) {
    if (Buffer.byteLength(chunk + character) > 45) {
      words.push(chunk)
      chunk = ''
    }
    chunk += character
  }
  if (chunk !== '') words.push(chunk)
  return words.map((word) => `=?utf-8?B?${Buffer.from(word).toString('base64')}?=`).join(' ')
}

function foldList(field: string, items: string[], separator = ', '): string {
  if (items.length === 0) return ''
  return fold(field, items.join(separator))
}

/** Breaks lines at white space (RFC 5322 §2.2.3); quoted strings stay whole. */
function fold(field: string, value: string): string {
  const tokens = value.match(/"(?:[^"\\]|\\.)*"\S*|\S+/g) ?? []
  let line = `${field}:`
  let folded = ''
  for (const token of tokens) {
    if (line.length + 1 + token.length > LINE && line !== `${field}:`) {
      folded += `${line}\r\n`
      line = ''
    }
    line += ` ${token}`
  }
  return `${folded}${line}\r\n`
}
