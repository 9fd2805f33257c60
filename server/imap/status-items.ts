/** STATUS data items: RFC 9051 §6.3.11, RFC 7162 §3.1.7, RFC 8474 §4.3, RFC 7889 §3.1, RFC 9208 §4.1.4. */
import type { Mailbox } from '../mailstore/types.ts'
import type { ImapDeps, Session } from './command.ts'
import { mailboxName } from './wire/format.ts'
import { BadCommand, type CommandInput } from './wire/input.ts'

const ITEMS = [
  'MESSAGES',
  'RECENT',
  'UIDNEXT',
  'UIDVALIDITY',
  'UNSEEN',
  'DELETED',
  'SIZE',
  'HIGHESTMODSEQ',
  'MAILBOXID',
  'APPENDLIMIT',
] as const
export type StatusItem = (typeof ITEMS)[number]

export function parseStatusItems(input: CommandInput): StatusItem[] {
  const items = input.list(() => {
    const word = input.word()
    const item = ITEMS.find((known) => known === word)
    if (!item) throw new BadCommand('Unknown STATUS item')
    return item
  })
  if (items.length === 0) throw new BadCommand('Empty list of STATUS items')
  return [...new Set(items)]
}

export async function statusLine(
  mailbox: Mailbox,
  items: readonly StatusItem[],
  session: Session,
  { mailstore, config }: Pick<ImapDeps, 'mailstore' | 'config'>,
): Promise<string> {
  const values: string[] = []
  for (const item of items) values.push(`${item} ${await value(item)}`)
  return `* STATUS ${mailboxName(mailbox.path, session.utf8)} (${values.join(' ')})\r\n`

  async function value(item: StatusItem): Promise<number | string> {
    switch (item) {
      case 'MESSAGES':
        return mailbox.totalEmails
      case 'RECENT':
        return 0
      case 'UIDNEXT':
        return mailbox.uidNext
      case 'UIDVALIDITY':
        return mailbox.uidValidity
      case 'UNSEEN':
        return mailbox.unreadEmails
      case 'SIZE':
        return mailbox.sizeBytes
      case 'MAILBOXID':
        return `(${mailbox.id})`
      case 'APPENDLIMIT':
        return config().limits.messageBytes
      case 'HIGHESTMODSEQ':
        session.enable('CONDSTORE') // RFC 7162 §3.1.7: a CONDSTORE enabling command
        return mailbox.highestModSeq
      case 'DELETED':
        return (await mailstore.search(mailbox.accountId, mailbox.id, { hasKeyword: '$deleted' })).length
    }
  }
}
