/** The base subject, by which replies are recognized when References are missing: RFC 5256 §2.1. */

const MAX_SUBJECT = 1000

/** @param subject decoded; the result is lower case, '' when nothing is left */
export function baseSubject(subject: string): string {
  let text = subject.slice(0, MAX_SUBJECT).replace(/\s+/g, ' ').trim().toLowerCase()
  for (;;) {
    const before = text
    text = text.replace(/(?:\s*\(fwd\)|\s+)+$/, '') // (2) subj-trailer
    text = withoutLeaders(text)
    const wrapped = /^\[fwd:(.*)\]$/.exec(text) // (6) subj-fwd-hdr, subj-fwd-trl
    if (wrapped) text = (wrapped[1] ?? '').trim()
    if (text === before) return text
  }
}

/** (3) subj-leader and (4) subj-blob, as long as one is there and something is left. */
function withoutLeaders(subject: string): string {
  let text = subject
  for (;;) {
    const leader = /^\s*(?:\[[^[\]]*\]\s*)*(?:re|fwd?|aw|wg|sv|vs|antw|tr|rv|ref)\s*(?:\[[^[\]]*\])?\s*:\s*/.exec(text)
    const blob = leader ?? /^\[[^[\]]*\]\s*/.exec(text)
    if (!blob) return text
    const rest = text.slice(blob[0].length)
    if (rest === '' && !leader) return text // (4): never to nothing
    text = rest
  }
}
