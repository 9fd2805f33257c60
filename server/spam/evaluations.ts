/**
 * The questions that need more than an expression: SpamAssassin's eval functions by their names, as far as they are about
 * facts we have. A rule file says `header SPF_FAIL eval:check_for_spf_fail()`.
 */
import { parseDate } from '../message/dates.ts'
import type { MimePart } from '../message/types.ts'
import type { Facts } from './facts.ts'

/** @returns true or 1 when it holds */
export type Evaluation = (facts: Facts, parameters: string[]) => boolean

const HOUR_MS = 3_600_000

const spf =
  (result: string): Evaluation =>
  ({ senderAuth }) =>
    senderAuth.spf.result === result
const dmarcFails =
  (policy: string): Evaluation =>
  ({ senderAuth }) =>
    senderAuth.dmarc.result === 'fail' && senderAuth.dmarc.policy === policy
const dkimPasses = (facts: Facts): boolean => facts.senderAuth.dkim.some(({ result }) => result === 'pass')

export const EVALUATIONS: Readonly<Record<string, Evaluation>> = {
  check_for_spf_pass: spf('pass'),
  check_for_spf_neutral: spf('neutral'),
  check_for_spf_none: spf('none'),
  check_for_spf_fail: spf('fail'),
  check_for_spf_softfail: spf('softfail'),
  check_for_spf_permerror: spf('permerror'),
  check_for_spf_temperror: spf('temperror'),

  check_dkim_signed: ({ senderAuth }) => senderAuth.dkim.length > 0,
  check_dkim_valid: dkimPasses,
  check_dkim_valid_author_sig: ({ senderAuth }) => senderAuth.dkim.some((one) => one.result === 'pass' && one.aligned),
  check_dkim_dependable: dkimPasses,

  check_dmarc_pass: ({ senderAuth }) => senderAuth.dmarc.result === 'pass',
  check_dmarc_reject: dmarcFails('reject'),
  check_dmarc_quarantine: dmarcFails('quarantine'),
  check_dmarc_none: dmarcFails('none'),
  check_dmarc_missing: ({ senderAuth }) => senderAuth.dmarc.result === 'none',

  /** Hours that Date lies after (positive) or before our clock: from, inclusive, to, exclusive; 'undef' is no bound. */
  check_for_shifted_date: ({ message, receivedAt }, [from = 'undef', to = 'undef']) => {
    const sent = parseDate(message.header('date', 'text') ?? '')
    if (!sent) return false
    const hours = (+sent - +receivedAt) / HOUR_MS
    return (from === 'undef' || hours >= Number(from)) && (to === 'undef' || hours < Number(to))
  },
  check_for_missing_to_header: ({ message }) => message.header('tocc', 'raw') === undefined,
  subject_is_all_caps: ({ message }) => {
    const subject = (message.header('subject', 'text') ?? '').replace(/^(?:re|fwd?|aw|wg)\s*:\s*/i, '')
    return subject.length >= 10 && /\p{Lu}.*\s.*\p{Lu}/u.test(subject) && !/\p{Ll}/u.test(subject)
  },
  check_for_mime_html_only: ({ message }) => {
    const kinds = textKinds(message.root)
    return kinds.has('html') && !kinds.has('plain')
  },
  check_for_bad_date: ({ message }) => {
    const date = message.header('date', 'text')
    return date !== undefined && parseDate(date) === undefined
  },
  check_for_fake_our_helo: ({ helo, recipients }) =>
    recipients.some(
      (recipient) => recipient.slice(recipient.lastIndexOf('@') + 1).toLowerCase() === helo.toLowerCase(),
    ),
  check_for_executable_attachment: ({ message }) => hasExecutable(message.root),
}

function textKinds(part: MimePart, kinds = new Set<string>()): Set<string> {
  if (part.type === 'text' && part.disposition !== 'attachment') kinds.add(part.subtype)
  for (const child of part.parts ?? []) textKinds(child, kinds)
  return kinds
}

const EXECUTABLE = /\.(?:exe|scr|pif|com|bat|cmd|vbs|vbe|jse|wsf|wsh|hta|lnk|iso|img|ps1|jar|msi|cpl|reg)$/i

function hasExecutable(part: MimePart): boolean {
  return EXECUTABLE.test(part.name ?? '') || (part.parts ?? []).some(hasExecutable)
}
