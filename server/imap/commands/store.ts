/** STORE and UID STORE: RFC 9051 §6.4.6; UNCHANGEDSINCE and MODIFIED RFC 7162 §3.1.3. */
import { command, SELECTED } from '../command.ts'
import { no, ok, type Response } from '../responses.ts'
import { BadCommand } from '../wire/input.ts'

export const store = command({
  states: SELECTED,
  tellsExpunges: false,
  parse(input) {
    input.space()
    const messages = input.messageSet()
    input.space()
    let unchangedSince: number | undefined
    if (input.peek() === '(') {
      input.list(() => {
        if (input.word() !== 'UNCHANGEDSINCE') throw new BadCommand('Unknown STORE modifier')
        input.space()
        unchangedSince = input.number64()
      })
      input.space()
    }
    return { messages, unchangedSince, change: input.flagChange() }
  },
  async run({ messages, unchangedSince, change }, session, { mailstore }) {
    const { selected } = session
    selected.assertWritable()
    const ranges = selected.uidRanges(messages)
    if (unchangedSince !== undefined) session.enable('CONDSTORE')
    if (ranges.length === 0) return [ok('No messages')]
    const responses: Response[] = []
    // What others have changed is told first: .SILENT would hide it together with our own change.
    if (selected.hasNews) responses.push(await selected.update(mailstore, session.told, { expunges: false }))
    const { accountId, mailboxId } = selected
    const { updated, modified, modSeq } = await mailstore.changeFlags(
      accountId,
      mailboxId,
      ranges,
      change,
      unchangedSince,
    )
    selected.noteOwn(modSeq)
    const { told } = session
    if (!change.silent || told.condstore) {
      let text = change.silent ? '' : selected.newFlagsLine(updated)
      for (const row of updated) text += selected.fetchFlags(row, told, change.silent)
      responses.push(text)
    }
    if (modified.length > 0)
      responses.push(ok('Some have changed', `MODIFIED ${selected.setOf(modified, messages.numbering)}`))
    else if (messages.numbering === 'sequence' && selected.uidsIn(ranges).some((uid) => selected.isExpunged(uid)))
      responses.push(no('Some messages are expunged', 'EXPUNGEISSUED'))
    else responses.push(ok('Stored'))
    return responses
  },
})
