/**
 * Secrets in free text: lines of logs and events, arguments, files in ConfigMaps. Where it cannot be told how far a
 * secret reaches, the rest of the line goes: a report with less in it is better than one with a password. Pure.
 */

import { parseAllDocuments } from 'yaml'
import { isSecretName } from './secret-names.ts'

export const REDACTED = '[redacted]'

/** What a secret looks like wherever it stands. */
const SHAPES: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/gs, REDACTED],
  // All before the last @ of a word: passwords have slashes and more of them in it.
  [/\b([a-z][a-z0-9+.-]*:\/\/)\S*@/gi, `$1${REDACTED}@`],
  [/\b(bearer|basic)\s+[A-Za-z0-9+/_~.=-]{4,}/gi, `$1 ${REDACTED}`],
  [/\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*/g, REDACTED],
  [/\b(AKIA|ASIA)[A-Z0-9]{12,}\b/g, REDACTED],
  // Hashes of passwords: modular crypt format, RFC 2307, Postgres.
  [/\$(argon2\w*|2[abxy]|1|5|6|7|y|gy|scrypt|pbkdf2[\w-]*)\$[^\s"']+/g, REDACTED],
  [/\{(S?SHA\d*|S?MD5|CRYPT|PLAIN|ARGON2\w*|BLF-CRYPT|PBKDF2)\}[^\s"']+/gi, REDACTED],
  [/SCRAM-SHA-\d+\$[^\s"']+/g, REDACTED],
  [/\bmd5[0-9a-f]{32}\b/gi, REDACTED],
  // In prose.
  [/\b((?:pass(?:word|phrase|code|wd)?|token|secret)\b(?: for \S+)? (?:is|was) )\S+/gi, `$1${REDACTED}`],
  // `--user name:password` of curl and others.
  [/((?:^|\s)(?:-u|--user)[\s=]+)\S+:\S+/g, `$1${REDACTED}`],
]

/** `name: value`, `name = value`, `"name": "value"`, `<name>value<`: where the value begins. */
const ASSIGNED = /([A-Za-z0-9_.-]+)(\\?["']?\s*(?:=>|:=|[:=])\s*|(?:\s[^<>]*)?>)/g
/** `--password value`. */
const FLAG = /--?([A-Za-z][A-Za-z0-9_-]*)(\s+)(?=\S)/g

export function cleanText(text: string): string {
  let clean = SHAPES.reduce((left, [shape, instead]) => left.replaceAll(shape, instead), text)
  clean = cleanAssigned(clean, FLAG)
  return cleanAssigned(clean, ASSIGNED)
}

function cleanAssigned(text: string, names: RegExp): string {
  let clean = ''
  let from = 0
  for (const match of text.matchAll(names)) {
    const [all, name = ''] = match
    const begin = match.index + all.length
    if (match.index < from || !isSecretName(name)) continue
    const length = valueLength(text.slice(begin), all, indentAt(text, match.index))
    if (length === 0) continue
    clean += text.slice(from, begin) + REDACTED
    from = begin + length
  }
  return clean + text.slice(from)
}

/** Spaces before the first word of the line that `at` is in. */
function indentAt(text: string, at: number): number {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
  return /^\s*/.exec(line)?.[0].length ?? 0
}

function valueLength(rest: string, assigned: string, indent: number): number {
  // The separator has gone over a line break: a block that is indented further is the value.
  if (/\n/.test(assigned) || /^[|>][-+0-9]*[ \t]*\n/.test(rest)) {
    const lines = rest.split('\n')
    const head = /^[|>]/.test(rest) ? 1 : 0
    let taken = head
    while (
      taken < lines.length &&
      (taken === 0 ||
        /^\s*$/.test(lines[taken] ?? '') ||
        indentAt(`${lines[taken]} `, (lines[taken] ?? '').length) > indent)
    )
      taken += 1
    return lines.slice(0, taken).join('\n').length
  }
  if (assigned.endsWith('>') && !assigned.endsWith('=>')) return /^[^<]*/.exec(rest)?.[0].length ?? 0
  const quoted = /^(\\?["'])(?:\\.|(?!\1).)*?\1/s.exec(rest)
  if (quoted) return quoted[0].length
  if (/^[[{]/.test(rest)) return 0 // what is in it has names of its own
  return /^[^\n]*/.exec(rest)?.[0].length ?? 0
}

/** Values in a JSON or YAML text that are secret by where they stand; [] when it is neither. */
export function structuredSecrets(text: string, secretsIn: (value: unknown) => string[]): string[] {
  if (!/[:{]/.test(text)) return []
  try {
    return parseAllDocuments(text).flatMap((document) => secretsIn(document.toJS()))
  } catch {
    return []
  }
}
