/** SEARCH and UID SEARCH: RFC 9051 §6.4.4 (ESEARCH, SEARCHRES), CHARSET RFC 3501 §6.4.4, MODSEQ RFC 7162 §3.1.5. */

import type { EmailFilter, ModSeq, Uid } from '../../mailstore/types.ts'
import { isKnownCharset } from '../../message/charset.ts'
import { type AnyCommand, command, SELECTED, type Session } from '../command.ts'
import { no, ok, type Response } from '../responses.ts'
import type { SelectedMailbox } from '../selected.ts'
import { string } from '../wire/format.ts'
import { BadCommand, type CommandInput } from '../wire/input.ts'
import { parseSearchProgram, type SearchKey, type SearchProgram } from '../wire/search-program.ts'
import type { MessageSet } from '../wire/sequence-set.ts'

interface SearchArguments extends SearchProgram {
  numbering: MessageSet['numbering']
  /** ESEARCH options; undefined without RETURN. */
  returns: Set<string> | undefined
  charset: string | undefined
}

export const search: AnyCommand = command<SearchArguments>({
  states: SELECTED,
  tellsExpunges: false,
  parse(input, _session, { now }) {
    input.space()
    const returns = returnOptions(input)
    let charset: string | undefined
    if (input.match(/CHARSET /iy)) {
      charset = input.astring()
      input.space()
    }
    return { ...parseSearchProgram(input, now()), numbering: input.numbering, returns, charset }
  },
  async run({ key, wantsModSeq, numbering, returns, charset }, session, { mailstore }) {
    const { selected } = session
    if (charset !== undefined && !/^(us-ascii|utf-8)$/i.test(charset)) {
      return [no(isKnownCharset(charset) ? 'Use UTF-8' : 'Unknown charset', 'BADCHARSET (US-ASCII UTF-8)')]
    }
    if (wantsModSeq) session.enable('CONDSTORE')
    const rows = await mailstore.search(selected.accountId, selected.mailboxId, filterOf(key, selected))
    const found = rows.filter((row) => selected.sequenceOf(row.uid) > 0)
    const uids = found.map((row) => row.uid)
    const highest = wantsModSeq ? highestModSeq(found, returns) : undefined
    if (returns?.has('SAVE')) selected.saved = savedOf(uids, returns)
    if (returns === undefined && !session.enabled.has('IMAP4REV2')) {
      const numbers = numbering === 'uid' ? uids : uids.map((uid) => selected.sequenceOf(uid))
      const modSeq = highest !== undefined && found.length > 0 ? ` (MODSEQ ${highest})` : ''
      return [`* SEARCH${numbers.length > 0 ? ` ${numbers.join(' ')}` : ''}${modSeq}\r\n`, ok('Searched')]
    }
    const responses: Response[] = []
    const options = returns ?? new Set(['ALL'])
    // RFC 9051 §6.4.4.1: SAVE alone asks for nothing to be told
    if (!(options.size === 1 && options.has('SAVE')))
      responses.push(esearch(session, uids, numbering, options, highest))
    return [...responses, ok('Searched')]
  },
})

const OPTIONS = ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE']

/** RETURN (...); "()" is (ALL). */
function returnOptions(input: CommandInput): Set<string> | undefined {
  if (!input.match(/RETURN /iy)) return undefined
  const options = input.list(() => input.word())
  if (options.some((option) => !OPTIONS.includes(option))) throw new BadCommand('Unknown SEARCH return option')
  input.space()
  return new Set(options.length === 0 ? ['ALL'] : options)
}

function esearch(
  { tag, selected }: Session,
  uids: readonly Uid[],
  numbering: MessageSet['numbering'],
  options: ReadonlySet<string>,
  highestModSeq: ModSeq | undefined,
): string {
  let text = `* ESEARCH (TAG ${string(tag, false)})${numbering === 'uid' ? ' UID' : ''}`
  const [first, last] = [uids[0], uids.at(-1)]
  const number = (uid: Uid) => (numbering === 'uid' ? uid : selected.sequenceOf(uid))
  if (first !== undefined && last !== undefined) {
    if (options.has('MIN')) text += ` MIN ${number(first)}`
    if (options.has('MAX')) text += ` MAX ${number(last)}`
    if (options.has('ALL')) text += ` ALL ${selected.setOf(uids, numbering)}`
    if (highestModSeq !== undefined) text += ` MODSEQ ${highestModSeq}`
  }
  if (options.has('COUNT')) text += ` COUNT ${uids.length}`
  return `${text}\r\n`
}

/** RFC 7162 §3.1.10: of the messages that are told, which with MIN or MAX alone are those only. */
function highestModSeq(found: readonly { modSeq: ModSeq }[], returns: ReadonlySet<string> | undefined): ModSeq {
  const all = !returns || returns.has('ALL') || returns.has('COUNT') || !(returns.has('MIN') || returns.has('MAX'))
  const ends = [...(returns?.has('MIN') ? found.slice(0, 1) : []), ...(returns?.has('MAX') ? found.slice(-1) : [])]
  return (all ? found : ends).reduce((modSeq, row) => Math.max(modSeq, row.modSeq), 0)
}

/** RFC 9051 §6.4.4.1: with MIN or MAX and neither ALL nor COUNT, only those are saved. */
function savedOf(uids: readonly Uid[], options: ReadonlySet<string>): Uid[] {
  if (options.has('ALL') || options.has('COUNT') || (!options.has('MIN') && !options.has('MAX'))) return [...uids]
  const ends = new Set<Uid>()
  const [first, last] = [uids[0], uids.at(-1)]
  if (options.has('MIN') && first !== undefined) ends.add(first)
  if (options.has('MAX') && last !== undefined) ends.add(last)
  return [...ends]
}

function filterOf(key: SearchKey, selected: SelectedMailbox): EmailFilter {
  if ('filter' in key) return key.filter
  if ('messages' in key) return { uids: selected.uidRanges(key.messages) }
  if ('not' in key) return { not: filterOf(key.not, selected) }
  if ('or' in key) return { or: key.or.map((operand) => filterOf(operand, selected)) }
  return { and: key.and.map((operand) => filterOf(operand, selected)) }
}
