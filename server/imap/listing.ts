/** Mailbox attributes and name patterns: RFC 9051 §6.3.9, §7.3.1; special use RFC 6154. */
import type { Mailbox, MailboxRole } from '../mailstore/types.ts'

const ATTRIBUTE_OF_ROLE: Record<MailboxRole, string | undefined> = {
  inbox: undefined,
  archive: '\\Archive',
  drafts: '\\Drafts',
  flagged: '\\Flagged',
  junk: '\\Junk',
  sent: '\\Sent',
  trash: '\\Trash',
  important: '\\Important',
}

/** @returns undefined for an attribute that is no special use of ours */
export function roleOf(attribute: string): MailboxRole | undefined {
  const wanted = attribute.toLowerCase()
  const entry = Object.entries(ATTRIBUTE_OF_ROLE).find(([, name]) => name?.toLowerCase() === wanted)
  return (entry?.[0] as MailboxRole | undefined) ?? undefined
}

/** Special-use attribute of the mailbox, if it has one. */
export function mailboxAttributes(mailbox: Mailbox): string[] {
  const attribute = mailbox.role === null ? undefined : ATTRIBUTE_OF_ROLE[mailbox.role]
  return attribute === undefined ? [] : [attribute]
}

/** Matches paths against patterns: '*' is anything, '%' anything within one level; INBOX in any case. */
export function patternMatcher(patterns: readonly string[]): (path: string) => boolean {
  const matchers = patterns.map(compile)
  return (path) => matchers.some((matches) => matches(path))
}

/** Without regular expressions: a pattern is a stranger's, and its cost must stay linear in pattern times path. */
function compile(pattern: string): (path: string) => boolean {
  const wanted = pattern.replace(/\*[*%]*|%[%*]*\*[%*]*/g, '*').replace(/%+/g, '%')
  return (path) => {
    // reached[i]: the pattern so far can match the first i characters
    let reached = new Array<boolean>(path.length + 1).fill(false)
    reached[0] = true
    for (const char of wanted) {
      const next = new Array<boolean>(path.length + 1).fill(false)
      for (let at = 0; at <= path.length; at++) {
        if (char === '*' || char === '%') {
          next[at] = reached[at] === true || (at > 0 && next[at - 1] === true && (char === '*' || path[at - 1] !== '/'))
        } else if (at > 0) next[at] = reached[at - 1] === true && path[at - 1] === char
      }
      reached = next
    }
    return reached[path.length] === true
  }
}
