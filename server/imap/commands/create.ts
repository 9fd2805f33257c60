/** CREATE: RFC 9051 §6.3.4; USE (special use) RFC 6154 §3; MAILBOXID RFC 8474 §4.1. */
import { command, LOGGED_IN } from '../command.ts'
import { roleOf } from '../listing.ts'
import { no, ok } from '../responses.ts'
import { BadCommand } from '../wire/input.ts'

export const create = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    const path = input.mailbox()
    let uses: string[] = []
    if (input.take(' ')) {
      input.list(() => {
        if (input.word() !== 'USE') throw new BadCommand('Unknown CREATE parameter')
        input.space()
        uses = input.list(() => {
          input.expect('\\')
          return `\\${input.atom()}`
        })
      })
    }
    return { path, uses }
  },
  async run({ path, uses }, { account }, { mailstore }) {
    const roles = uses.map(roleOf)
    if (roles.length > 1 || roles.includes(undefined)) return [no('Special use not supported', 'USEATTR')]
    const [role] = roles
    if (role && (await mailstore.mailboxes(account.id)).some((mailbox) => mailbox.role === role)) {
      return [no('Another mailbox has this use', 'USEATTR')]
    }
    // A trailing delimiter says that children will follow, which any mailbox may have (§6.3.4).
    const name = path.replace(/\/$/, '').normalize('NFC')
    const mailbox = await mailstore.createMailbox(account.id, name, role ? { role } : {})
    return [ok('Created', `MAILBOXID (${mailbox.id})`)]
  },
})
