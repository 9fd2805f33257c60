/** IMAP flags and the store's keywords are one thing (RFC 8621 §4.1.1): names both ways. */
import type { Keyword } from '../../mailstore/types.ts'

const SYSTEM_FLAGS = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const
/** Keywords with a registered spelling; others are shown in lower case, as they are kept. */
const REGISTERED = ['$Forwarded', '$MDNSent', '$Junk', '$NotJunk', '$Phishing', '$Important']

const keywordOfFlag = new Map<string, Keyword>(
  SYSTEM_FLAGS.map((flag) => [flag.toLowerCase(), `$${flag.slice(1).toLowerCase()}`]),
)
const flagOfKeyword = new Map<Keyword, string>([
  ...SYSTEM_FLAGS.map((flag): [string, string] => [`$${flag.slice(1).toLowerCase()}`, flag]),
  ...REGISTERED.map((flag): [string, string] => [flag.toLowerCase(), flag]),
])

/** Shown in FLAGS of every mailbox. */
export const COMMON_FLAGS: readonly string[] = [...SYSTEM_FLAGS, '$Forwarded', '$MDNSent', '$Junk', '$NotJunk']

/** @returns undefined for a system flag that does not exist, and \Recent, which only the server sets */
export function keywordOf(flag: string): Keyword | undefined {
  if (flag.startsWith('\\')) return keywordOfFlag.get(flag.toLowerCase())
  return flag.toLowerCase()
}

export function flagOf(keyword: Keyword): string {
  return flagOfKeyword.get(keyword) ?? keyword
}
