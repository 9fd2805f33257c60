/** STATUS: RFC 9051 §6.3.11. */
import { command, LOGGED_IN } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { ok } from '../responses.ts'
import { parseStatusItems, statusLine } from '../status-items.ts'

export const status = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    const path = input.mailbox()
    input.space()
    return { path, items: parseStatusItems(input) }
  },
  async run({ path, items }, session, deps) {
    const mailbox = await mailboxAt(deps.mailstore, session.account.id, path)
    return [await statusLine(mailbox, items, session, deps), ok()]
  },
})
