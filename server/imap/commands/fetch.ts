/** FETCH and UID FETCH: RFC 9051 §6.4.5; CHANGEDSINCE and VANISHED RFC 7162 §3.1.4.1, §3.2.6. */
import { command, type ImapDeps, SELECTED, type Session } from '../command.ts'
import { fetchResponses } from '../fetching.ts'
import { resyncRange } from '../qresync.ts'
import { no, ok, type Response } from '../responses.ts'
import { type FetchItem, parseFetchItems } from '../wire/fetch-items.ts'
import { BadCommand, type CommandInput } from '../wire/input.ts'
import { formatSet, type MessageSet } from '../wire/sequence-set.ts'

interface FetchArguments {
  messages: MessageSet
  items: FetchItem[]
  changedSince: number | undefined
  vanished: boolean
}

export const fetch = command<FetchArguments>({
  states: SELECTED,
  tellsExpunges: false,
  parse(input) {
    input.space()
    const messages = input.messageSet()
    input.space()
    const items = parseFetchItems(input)
    return { messages, items, ...modifiers(input) }
  },
  run: fetchMessages,
})

/** [SP "(" CHANGEDSINCE n [VANISHED] ")"]. */
function modifiers(input: CommandInput): { changedSince: number | undefined; vanished: boolean } {
  let changedSince: number | undefined
  let vanished = false
  if (input.take(' ')) {
    input.list(() => {
      const name = input.word()
      if (name === 'CHANGEDSINCE') {
        input.space()
        changedSince = input.number64()
      } else if (name === 'VANISHED' && input.numbering === 'uid') vanished = true
      else throw new BadCommand('Unknown FETCH modifier')
    })
    if (vanished && changedSince === undefined) throw new BadCommand('VANISHED wants CHANGEDSINCE')
  }
  return { changedSince, vanished }
}

async function* fetchMessages(args: FetchArguments, session: Session, deps: ImapDeps): AsyncGenerator<Response> {
  const { messages, changedSince, vanished } = args
  const { selected } = session
  const items = withImplied(args)
  if (items.some((item) => item.kind === 'simple' && item.name === 'MODSEQ')) session.enable('CONDSTORE')
  if (vanished) {
    if (!session.enabled.has('QRESYNC')) throw new BadCommand('QRESYNC is not enabled')
    const gone = await resyncRange(deps.mailstore, selected, changedSince ?? 0, messages)
    if (gone.vanished.length > 0) yield `* VANISHED (EARLIER) ${formatSet(gone.vanished)}\r\n`
  }
  const ranges = selected.uidRanges(messages)
  if (ranges.length > 0) yield* fetchResponses(ranges, items, changedSince, session, deps)
  const expunged = messages.numbering === 'sequence' && selected.uidsIn(ranges).some((uid) => selected.isExpunged(uid))
  yield expunged ? no('Some messages are expunged', 'EXPUNGEISSUED') : ok('Fetched')
}

/** UID FETCH tells UIDs (RFC 9051 §6.4.9), CHANGEDSINCE tells MODSEQ (RFC 7162 §3.1.4.1). */
function withImplied({ items, messages, changedSince }: FetchArguments): FetchItem[] {
  const has = (name: string) => items.some((item) => item.kind === 'simple' && item.name === name)
  const implied: FetchItem[] = []
  if (messages.numbering === 'uid' && !has('UID')) implied.push({ kind: 'simple', name: 'UID' })
  if (changedSince !== undefined && !has('MODSEQ')) implied.push({ kind: 'simple', name: 'MODSEQ' })
  return [...implied, ...items]
}
