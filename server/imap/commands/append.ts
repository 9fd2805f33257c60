/** APPEND: RFC 9051 §6.3.12; several messages RFC 3502, all or none; UTF8 (literal8) RFC 6855 §4; APPENDUID §7.1. */

import { MailboxNotFound } from '../../mailstore/types.ts'
import { command, LOGGED_IN } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { no, ok, Refusal } from '../responses.ts'
import { BadCommand, type CommandInput } from '../wire/input.ts'
import { formatSet } from '../wire/sequence-set.ts'

interface AppendMessage {
  keywords: string[]
  receivedAt: Date | undefined
  raw: Buffer
  /** Came as a literal8. */
  binary: boolean
}

export const append = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    const path = input.mailbox()
    const messages: AppendMessage[] = []
    do {
      input.space()
      messages.push(appendMessage(input))
    } while (input.peek() === ' ')
    return { path, messages }
  },
  async run({ path, messages }, session, { mailstore, now }) {
    const { account } = session
    const mailbox = await mailboxAt(mailstore, account.id, path, 'TRYCREATE')
    if (messages.some(({ raw }) => raw.length === 0)) throw new Refusal('An empty message ends the APPEND') // RFC 3502 §5
    // RFC 3516 §4.4: FETCH BODY[] could not tell NUL but in a literal8, which only BINARY[] may be.
    if (messages.some(({ binary, raw }) => binary && raw.includes(0)))
      throw new Refusal('Messages are kept without NUL: encode it as base64', 'UNKNOWN-CTE')
    try {
      const stored = await mailstore.ingest(
        messages.map(({ keywords, receivedAt, raw }) => ({
          accountId: account.id,
          mailboxes: [{ id: mailbox.id }],
          keywords,
          receivedAt: receivedAt ?? now(),
          raw,
        })),
      )
      // The client is told of its own message at once (§6.3.12), not only when the notification comes.
      if (session.state === 'selected' && session.selected.mailboxId === mailbox.id) session.selected.markStale()
      const uids = stored.flatMap(({ memberships }) => memberships.map(({ uid }) => uid))
      const uidValidity = stored[0]?.memberships[0]?.uidValidity ?? mailbox.uidValidity
      return [ok('Appended', `APPENDUID ${uidValidity} ${formatSet(uids)}`)]
    } catch (error) {
      if (error instanceof MailboxNotFound) return [no('No such mailbox', 'TRYCREATE')]
      throw error
    }
  },
})

/** [flags SP] [date-time SP] literal. */
function appendMessage(input: CommandInput): AppendMessage {
  let keywords: string[] = []
  let receivedAt: Date | undefined
  if (input.peek() === '(') {
    keywords = [...new Set(input.flags())]
    input.space()
  }
  if (input.peek() === '"') {
    receivedAt = input.dateTime()
    input.space()
  }
  const isUtf8 = input.match(/UTF8 \(/iy) !== undefined
  const { bytes, binary } = input.literal()
  if (isUtf8) {
    if (!binary) throw new BadCommand('UTF8 wants a literal8')
    input.expect(')')
  }
  return { keywords, receivedAt, raw: bytes, binary }
}
