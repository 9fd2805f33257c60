/** SELECT and EXAMINE: RFC 9051 §6.3.2, §6.3.3; CONDSTORE and QRESYNC parameters RFC 7162 §3.1.8, §3.2.5; MAILBOXID RFC 8474. */
import { type AnyCommand, command, LOGGED_IN } from '../command.ts'
import { mailboxAttributes } from '../listing.ts'
import { type QresyncParameter, resyncRange } from '../qresync.ts'
import { mailboxAt } from '../resolve.ts'
import { ok, type Response } from '../responses.ts'
import { SelectedMailbox } from '../selected.ts'
import { mailboxName } from '../wire/format.ts'
import { BadCommand, type CommandInput } from '../wire/input.ts'
import { formatSet } from '../wire/sequence-set.ts'

export const select = openCommand(false)
export const examine = openCommand(true)

function openCommand(readOnly: boolean): AnyCommand {
  return command({
    states: LOGGED_IN,
    parse(input) {
      input.space()
      const path = input.mailbox()
      return { path, ...selectParameters(input) }
    },
    async *run({ path, condstore, qresync }, session, { mailstore }) {
      if (session.state === 'selected') {
        session.select(undefined) // even when the new one cannot be selected (§6.3.2)
        yield '* OK [CLOSED] Previous mailbox is closed\r\n'
      }
      if (qresync && !session.enabled.has('QRESYNC')) throw new BadCommand('QRESYNC is not enabled')
      if (condstore || qresync) session.enable('CONDSTORE')
      const found = await mailboxAt(mailstore, session.account.id, path)
      const opened = await mailstore.openMailbox(session.account.id, found.id)
      const { mailbox } = opened
      const selected = new SelectedMailbox(opened, readOnly)
      session.select(selected)
      selected.markStale() // what happened since the snapshot was told to nobody
      const responses: Response[] = []
      const rev2 = session.enabled.has('IMAP4REV2')
      responses.push(selected.flagsLine(), `* ${selected.exists} EXISTS\r\n`)
      if (!rev2) responses.push('* 0 RECENT\r\n')
      responses.push(
        readOnly
          ? '* OK [PERMANENTFLAGS ()] Read-only mailbox\r\n'
          : '* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags and keywords are kept\r\n',
        `* OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs valid\r\n`,
        `* OK [UIDNEXT ${mailbox.uidNext}] Predicted next UID\r\n`,
        `* OK [HIGHESTMODSEQ ${mailbox.highestModSeq}] Highest\r\n`,
        `* OK [MAILBOXID (${mailbox.id})] Ok\r\n`,
      )
      if (rev2)
        responses.push(`* LIST (${mailboxAttributes(mailbox).join(' ')}) "/" ${mailboxName(mailbox.path, true)}\r\n`)
      if (qresync && qresync.uidValidity === mailbox.uidValidity) {
        const { vanished, changed } = await resyncRange(mailstore, selected, qresync.modSeq, qresync.knownUids)
        if (vanished.length > 0) responses.push(`* VANISHED (EARLIER) ${formatSet(vanished)}\r\n`)
        responses.push(selected.newFlagsLine(changed))
        for (const row of changed) responses.push(selected.fetchFlags(row, { condstore: true, qresync: true }))
      }
      responses.push(ok(readOnly ? 'Examined' : 'Selected', readOnly ? 'READ-ONLY' : 'READ-WRITE'))
      yield* responses
    },
  })
}

/** [SP "(" CONDSTORE / QRESYNC (...) ")"]. */
function selectParameters(input: CommandInput): { condstore: boolean; qresync: QresyncParameter | undefined } {
  let condstore = false
  let qresync: QresyncParameter | undefined
  if (input.take(' ')) {
    input.list(() => {
      const name = input.word()
      if (name === 'CONDSTORE') condstore = true
      else if (name === 'QRESYNC') {
        input.space()
        qresync = qresyncParameter(input)
      } else throw new BadCommand('Unknown SELECT parameter')
    })
  }
  return { condstore, qresync }
}

/** "(" uidvalidity SP mod-sequence [SP known-uids] [SP "(" seqs SP uids ")"] ")". */
function qresyncParameter(input: CommandInput): QresyncParameter {
  input.expect('(')
  const uidValidity = input.number()
  input.space()
  const parameter: QresyncParameter = { uidValidity, modSeq: input.number64() }
  input.numbering = 'uid'
  if (input.take(' ') && input.peek() !== '(') {
    parameter.knownUids = input.messageSet()
    input.take(' ')
  }
  // The sequence match data only narrows what we answer exactly from the log.
  if (input.peek() === '(') {
    input.expect('(')
    input.messageSet()
    input.space()
    input.messageSet()
    input.expect(')')
  }
  input.expect(')')
  return parameter
}
