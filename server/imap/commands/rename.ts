/** RENAME: RFC 9051 §6.3.6. Renaming INBOX moves its messages and leaves it empty. */
import { command, LOGGED_IN } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { ok } from '../responses.ts'

export const rename = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    const from = input.mailbox()
    input.space()
    return { from, to: input.mailbox().replace(/\/$/, '').normalize('NFC') }
  },
  async run({ from, to }, { account }, { mailstore }) {
    const mailbox = await mailboxAt(mailstore, account.id, from)
    if (mailbox.role !== 'inbox') {
      await mailstore.updateMailbox(account.id, mailbox.id, { path: to })
      return [ok('Renamed')]
    }
    const target = await mailstore.createMailbox(account.id, to)
    const { uids } = await mailstore.openMailbox(account.id, mailbox.id)
    const [first, last] = [uids[0], uids.at(-1)]
    if (first !== undefined && last !== undefined)
      await mailstore.move(account.id, mailbox.id, [[first, last]], target.id)
    return [ok('Messages moved')]
  },
})
