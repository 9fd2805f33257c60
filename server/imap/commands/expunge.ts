/** EXPUNGE and UID EXPUNGE: RFC 9051 §6.4.3, §6.4.9; HIGHESTMODSEQ RFC 7162 §3.2.7. */
import type { Ranges } from '../../mailstore/types.ts'
import { command, type ImapDeps, noArguments, SELECTED, type Session } from '../command.ts'
import { ok, type Response } from '../responses.ts'

export const expunge = command({
  states: SELECTED,
  parse: noArguments,
  run: (_, session, deps) => expungeMessages(session, deps, undefined),
})

export const uidExpunge = command({
  states: SELECTED,
  parse(input) {
    input.space()
    return input.messageSet()
  },
  run: (messages, session, deps) => expungeMessages(session, deps, session.selected.uidRanges(messages)),
})

async function expungeMessages(session: Session, deps: ImapDeps, ranges: Ranges | undefined): Promise<Response[]> {
  const { selected } = session
  selected.assertWritable()
  if (ranges?.length === 0) return [ok('Nothing to expunge')]
  const { uids, modSeq } = await deps.mailstore.expunge(selected.accountId, selected.mailboxId, ranges)
  if (uids.length === 0) return [ok('Nothing to expunge')]
  selected.noteOwn(modSeq)
  // HIGHESTMODSEQ promises that everything up to it has been told: look, whatever notifications have come.
  if (session.told.condstore) selected.markStale()
  return [
    selected.remove(uids, session.told),
    ok('Expunged', session.told.condstore ? `HIGHESTMODSEQ ${modSeq}` : undefined),
  ]
}
