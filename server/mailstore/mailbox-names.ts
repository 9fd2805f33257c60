/** Paths of mailboxes: what is allowed, and INBOX by any case. */
import { MailboxNameInvalid } from './types.ts'

const MAX_NAME_BYTES = 255

/**
 * NFC, INBOX in capitals, checked.
 * @throws MailboxNameInvalid with the reason
 */
export function normalizePath(path: string, maxDepth: number): string {
  const components = path.normalize('NFC').split('/')
  // RFC 9051 §5.1: INBOX is case-insensitive; so is it as a parent.
  if (components[0]?.toUpperCase() === 'INBOX') components[0] = 'INBOX'
  if (components.length > maxDepth) throw new MailboxNameInvalid(`deeper than ${maxDepth} levels`)
  for (const name of components) {
    if (name === '') throw new MailboxNameInvalid('a mailbox name is empty')
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw new MailboxNameInvalid(`longer than ${MAX_NAME_BYTES} bytes`)
    // RFC 9051 §5.1, Net-Unicode (RFC 5198): no control characters, no lone surrogates.
    if (/[\0-\x1f\x7f-\x9f\u2028\u2029]/.test(name) || !name.isWellFormed()) {
      throw new MailboxNameInvalid('a mailbox name has control characters')
    }
  }
  return components.join('/')
}

/** For looking one up: a path that cannot exist is undefined. */
export function lookupPath(path: string): string {
  const normalized = path.normalize('NFC')
  return normalized.replace(/^inbox(?=\/|$)/i, 'INBOX')
}

export function parentPath(path: string): string | undefined {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? undefined : path.slice(0, slash)
}

export function lastComponent(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
