/** CHECK, CLOSE, UNSELECT: RFC 3501 §6.4.1, RFC 9051 §6.4.1, §6.4.2. */
import { command, noArguments, SELECTED } from '../command.ts'
import { ok } from '../responses.ts'

/** Everything is always on disk: as NOOP. */
export const check = command({
  states: SELECTED,
  parse: noArguments,
  async run(_, session) {
    session.selected.markStale()
    return [ok()]
  },
})

/** Expunges silently. */
export const close = command({
  states: SELECTED,
  parse: noArguments,
  async run(_, session, { mailstore }) {
    const { selected } = session
    if (!selected.readOnly) await mailstore.expunge(selected.accountId, selected.mailboxId)
    session.select(undefined)
    return [ok('Closed')]
  },
})

export const unselect = command({
  states: SELECTED,
  parse: noArguments,
  async run(_, session) {
    session.select(undefined)
    return [ok('Unselected')]
  },
})
