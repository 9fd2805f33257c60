/** SUBSCRIBE and UNSUBSCRIBE: RFC 9051 §6.3.7, §6.3.8. Only mailboxes that exist can be subscribed to. */
import { type AnyCommand, command, LOGGED_IN } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { ok } from '../responses.ts'

export const subscribe = subscription(true)
export const unsubscribe = subscription(false)

function subscription(subscribed: boolean): AnyCommand {
  return command({
    states: LOGGED_IN,
    parse(input) {
      input.space()
      return input.mailbox()
    },
    async run(path, { account }, { mailstore }) {
      const mailbox = await mailboxAt(mailstore, account.id, path)
      if (mailbox.subscribed !== subscribed) await mailstore.updateMailbox(account.id, mailbox.id, { subscribed })
      return [ok()]
    },
  })
}
