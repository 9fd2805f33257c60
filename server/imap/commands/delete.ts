/** DELETE: RFC 9051 §6.3.5. */
import { command, LOGGED_IN } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { no, ok } from '../responses.ts'

export const deleteMailbox = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    return input.mailbox()
  },
  async run(path, session, { mailstore }) {
    const mailbox = await mailboxAt(mailstore, session.account.id, path)
    if (mailbox.role === 'inbox') return [no('INBOX cannot be deleted', 'CANNOT')]
    await mailstore.deleteMailbox(session.account.id, mailbox.id, { removeMessages: true })
    if (session.state === 'selected' && session.selected.mailboxId === mailbox.id) session.select(undefined)
    return [ok('Deleted')]
  },
})
