/** PatchObject (RFC 8620 §5.3) for the two maps of an Email that change: keywords and mailboxIds. Pure. */
import { invalidProperties, ObjectRefused } from '../wire/errors.ts'

export interface EmailPatch {
  keywords?: SetPatch
  mailboxIds?: SetPatch
}

/** A whole new set, or what to add and remove. */
export type SetPatch = { replace: string[] } | { add: string[]; remove: string[] }

const MUTABLE = ['keywords', 'mailboxIds'] as const

/** @throws ObjectRefused invalidPatch, invalidProperties */
export function parseEmailPatch(patch: Record<string, unknown>): EmailPatch {
  const parsed: EmailPatch = {}
  const wrong: string[] = []
  for (const [path, value] of Object.entries(patch)) {
    const [property = '', ...rest] = path.replace(/^\//, '').split('/')
    const name = MUTABLE.find((candidate) => candidate === property)
    if (!name || rest.length > 1) wrong.push(path)
    else if (rest.length === 0) {
      if (parsed[name]) throw invalidPatch(name)
      parsed[name] = { replace: readSet(value, name) }
    } else {
      const before = parsed[name] ?? { add: [], remove: [] }
      if ('replace' in before) throw invalidPatch(name)
      const member = (rest[0] ?? '').replaceAll('~1', '/').replaceAll('~0', '~')
      if (value === true) before.add.push(readMember(member, name))
      else if (value === null) before.remove.push(readMember(member, name))
      else wrong.push(path)
      parsed[name] = before
    }
  }
  if (wrong.length > 0) throw invalidProperties(wrong, 'only keywords and mailboxIds can change, to true or null')
  return parsed
}

/** The set after the patch. */
export function applySetPatch(current: readonly string[], patch: SetPatch): string[] {
  if ('replace' in patch) return patch.replace
  const next = new Set([...current, ...patch.add])
  for (const member of patch.remove) next.delete(member)
  return [...next]
}

/** An Id[Boolean] or String[Boolean] whose values are all true, as its members. @throws ObjectRefused invalidProperties */
export function readSet(value: unknown, property: 'keywords' | 'mailboxIds'): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidProperties([property])
  const entries = Object.entries(value)
  const wrong = entries.filter(([, flag]) => flag !== true).map(([name]) => `${property}/${name}`)
  if (wrong.length > 0) throw invalidProperties(wrong, 'must be true')
  if (entries.length > 1000)
    throw new ObjectRefused({ type: property === 'keywords' ? 'tooManyKeywords' : 'tooManyMailboxes' })
  return entries.map(([name]) => readMember(name, property))
}

/** Keywords: RFC 8621 §4.1.1, printable ASCII without what IMAP's atoms exclude. */
export const KEYWORD = /^[\x21\x23\x24\x26\x27\x2b-\x5b\x5e-\x7a\x7c\x7e]{1,255}$/

function readMember(name: string, property: 'keywords' | 'mailboxIds'): string {
  if (property === 'mailboxIds') {
    // '#' and a creation id is resolved by the caller.
    if (name === '' || name.length > 255) throw invalidProperties([`${property}/${name}`])
    return name
  }
  const keyword = name.toLowerCase()
  // \Deleted belongs to IMAP alone (RFC 8621 §4.1.1).
  if (!KEYWORD.test(keyword) || keyword === '$deleted')
    throw invalidProperties([`${property}/${name}`], 'is no keyword')
  return keyword
}

function invalidPatch(property: string): ObjectRefused {
  return new ObjectRefused({ type: 'invalidPatch', description: `${property} is given as a whole and in parts` })
}
