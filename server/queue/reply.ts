/** What a remote server said, or what we say in its place, about one recipient. */

export interface Reply {
  /** RFC 3463: '2.0.0', '4.4.1', '5.1.1'. */
  enhanced: string
  /** One line for people and for Diagnostic-Code. */
  text: string
  /** Did a server say it (smtp), or did we find out ourselves? */
  remote: boolean
}

/** @param line a reply line such as "550 5.1.1 No such user", or several joined by line feeds */
export function parseReply(line: string): Reply {
  const text = line
    .replace(/[\r\n]+(?:\d{3}[ -])?/g, ' ')
    .replace(/[\x00-\x1f\x7f]/g, ' ')
    .trim()
    .slice(0, 1000)
  const [, code = '4', enhanced] = /^(\d)\d\d[ -](?:([245]\.\d{1,3}\.\d{1,3})\b)?/.exec(text) ?? []
  return { enhanced: enhanced?.startsWith(code) ? enhanced : `${code}.0.0`, text, remote: true }
}

/** A reply of our own. */
export function ownReply(enhanced: string, text: string): Reply {
  return { enhanced, text, remote: false }
}

export type Outcome = 'delivered' | 'deferred' | 'failed'

/** RFC 5321 §4.2.1: 2yz, 4yz and everything unclear, 5yz. */
export function outcomeOf(reply: Reply): Outcome {
  if (reply.enhanced.startsWith('2.')) return 'delivered'
  return reply.enhanced.startsWith('5.') ? 'failed' : 'deferred'
}
