/** COPY, MOVE and their UID forms: RFC 9051 §6.4.7, §6.4.8; COPYUID §7.1. */

import { MailboxNotFound } from '../../mailstore/types.ts'
import { type AnyCommand, command, SELECTED } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { no, ok } from '../responses.ts'
import { formatPairs } from '../wire/sequence-set.ts'

export const copy = transfer('copy')
export const move = transfer('move')

function transfer(kind: 'copy' | 'move'): AnyCommand {
  return command({
    states: SELECTED,
    parse(input) {
      input.space()
      const messages = input.messageSet()
      input.space()
      return { messages, path: input.mailbox() }
    },
    async run({ messages, path }, session, { mailstore }) {
      const { selected } = session
      const { accountId, mailboxId } = selected
      if (kind === 'move') selected.assertWritable()
      const ranges = selected.uidRanges(messages)
      const target = await mailboxAt(mailstore, accountId, path, 'TRYCREATE')
      if (ranges.length === 0) return [ok('No messages')]
      const missing = selected.uidsIn(ranges).some((uid) => selected.isExpunged(uid))
      if (missing && kind === 'copy') return [no('Some messages are expunged', 'EXPUNGEISSUED')] // all or nothing
      try {
        const { uidValidity, pairs } = await mailstore[kind](accountId, mailboxId, ranges, target.id)
        if (pairs.length === 0) return [ok('No messages')]
        if (target.id === mailboxId) selected.markStale()
        const [from, to] = formatPairs(pairs)
        const code = `COPYUID ${uidValidity} ${from} ${to}`
        if (kind === 'copy') return [ok('Copied', code)]
        // RFC 6851 §4.3: COPYUID comes untagged, before the EXPUNGEs
        const expunged = selected.remove(
          pairs.map(([uid]) => uid),
          session.told,
        )
        return [`* OK [${code}] Moved\r\n`, expunged, ok('Moved')]
      } catch (error) {
        if (error instanceof MailboxNotFound) return [no('No such mailbox', 'TRYCREATE')]
        throw error
      }
    },
  })
}
