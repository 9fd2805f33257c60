/** GETQUOTA and GETQUOTAROOT: RFC 9208 §4.2, §4.3. One root, '', for the whole account. */
import { command, type ImapDeps, LOGGED_IN } from '../command.ts'
import { mailboxAt } from '../resolve.ts'
import { no, ok } from '../responses.ts'
import { mailboxName } from '../wire/format.ts'

export const getQuota = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    return input.astring()
  },
  async run(root, { account }, deps) {
    if (root !== '') return [no('No such quota root', 'NONEXISTENT')]
    return [await quota(deps, account.id), ok()]
  },
})

export const getQuotaRoot = command({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    return input.mailbox()
  },
  async run(path, { account, utf8 }, deps) {
    const mailbox = await mailboxAt(deps.mailstore, account.id, path)
    return [`* QUOTAROOT ${mailboxName(mailbox.path, utf8)} ""\r\n`, await quota(deps, account.id), ok()]
  },
})

/** STORAGE counts in units of 1024 bytes (§5.1); a root without limits lists nothing. */
async function quota({ accounts }: ImapDeps, accountId: string): Promise<string> {
  const account = await accounts.findById(accountId)
  if (account?.quotaBytes === undefined) return '* QUOTA "" ()\r\n'
  return `* QUOTA "" (STORAGE ${Math.ceil(account.usedBytes / 1024)} ${Math.ceil(account.quotaBytes / 1024)})\r\n`
}
