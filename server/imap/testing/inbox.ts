/** Accounts with mail in them, for this folder's tests. */
import type { Account } from '../../accounts/accounts.ts'
import type { TestEngine } from './engine.ts'
import { logIn } from './transcript.ts'

/** What lies in an inbox; a string is its raw text, latin1. */
export type Stored = string | { raw: string; keywords: string[]; receivedAt?: Date }

const RECEIVED = new Date('2026-11-23T10:00:00Z')

/** An account with these messages in its inbox, and a session that has selected it. */
export async function selectedInbox(engine: TestEngine, ...messages: Stored[]) {
  const account = await engine.account()
  for (const message of messages) await deliver(engine, account, message)
  const client = await logIn(engine, account)
  await client.command('S', 'SELECT INBOX')
  return { account, client }
}

/** As mail that comes in. */
export async function deliver(engine: TestEngine, account: Account, message: Stored): Promise<void> {
  const {
    raw,
    keywords,
    receivedAt = RECEIVED,
  } = typeof message === 'string' ? { raw: message, keywords: [] } : message
  await engine.mailstore.ingest([
    { accountId: account.id, mailboxes: [{ role: 'inbox' }], keywords, receivedAt, raw: Buffer.from(raw, 'latin1') },
  ])
}
