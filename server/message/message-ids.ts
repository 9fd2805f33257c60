/** Message-ID, In-Reply-To and References: RFC 5322 §3.6.4. */

const MAX_IDS = 500
const MAX_ID_LENGTH = 998

/**
 * Message ids without angle brackets, in order. Without brackets, words that hold an '@' are taken (obsolete phrases of
 * In-Reply-To are not), or the whole value when it is one word and `lenient`.
 */
export function parseMessageIds(value: string, lenient = false): string[] {
  const ids: string[] = []
  let at = value.indexOf('<')
  while (at >= 0 && ids.length < MAX_IDS) {
    const close = value.indexOf('>', at)
    if (close < 0) break
    const open = value.lastIndexOf('<', close)
    const id = value.slice(open + 1, close).replace(/\s+/g, '')
    if (id !== '' && id.length <= MAX_ID_LENGTH) ids.push(id)
    at = value.indexOf('<', close)
  }
  if (ids.length > 0) return ids
  const words = value.split(/[\s,<>]+/, MAX_IDS).filter((word) => word !== '' && word.length <= MAX_ID_LENGTH)
  if (lenient && words.length === 1) return words
  return words.filter((word) => /^[^@]+@[^@]+$/.test(word))
}
