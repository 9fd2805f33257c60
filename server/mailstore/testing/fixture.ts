/** What the store's tests are written with: messages, accounts of their own, and reading everything back. */
import assert from 'node:assert/strict'
import type { TestStore } from '../../../test/mailstore.ts'
import type { EmailColumn, FetchedMessage, IngestItem, Mailbox, MailboxRole, Mailstore, Ranges } from '../types.ts'

export interface MessageFields {
  subject?: string
  messageId?: string
  references?: string
  from?: string
  text?: string
}

export interface TestUser {
  id: string
  inbox: Mailbox
  trash: Mailbox
  archive: Mailbox
}

export interface Fixture {
  /** A fresh account, so that tests do not see each other's mail. */
  newAccount(quotaBytes?: number): Promise<TestUser>
}

let counter = 0

export function createFixture(store: () => TestStore): Fixture {
  return {
    async newAccount(quotaBytes) {
      const { accounts, mailstore } = store()
      const address = `user${++counter}@example.org`
      const { account } = await accounts.put({ address, aliases: [], ...(quotaBytes !== undefined && { quotaBytes }) })
      const mailboxes = await mailstore.mailboxes(account.id)
      const byRole = (role: MailboxRole) => {
        const mailbox = mailboxes.find((one) => one.role === role)
        assert.ok(mailbox)
        return mailbox
      }
      return { id: account.id, inbox: byRole('inbox'), trash: byRole('trash'), archive: byRole('archive') }
    },
  }
}

/** A new message each time; what is not given differs from all others. */
export function message(fields: MessageFields = {}): Buffer {
  counter++
  const { subject = `Hello ${counter}`, from = 'Zoë <zoe@example.net>', text = 'Some text' } = fields
  const lines = [
    `From: ${from}`,
    'To: alice@example.org',
    `Subject: ${subject}`,
    `Message-ID: ${fields.messageId ?? `<m${counter}@example.net>`}`,
    ...(fields.references ? [`References: ${fields.references}`] : []),
    'Date: Mon, 23 Nov 2026 10:00:00 +0000',
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    '',
  ]
  return Buffer.from(lines.join('\r\n'))
}

/** For the inbox, without keywords, a second later than the one before. */
export function item(accountId: string, raw: Buffer, more: Partial<IngestItem> = {}): IngestItem {
  const receivedAt = new Date(1_800_000_000_000 + ++counter * 1000)
  return { accountId, mailboxes: [{ role: 'inbox' }], keywords: [], receivedAt, raw, ...more }
}

export async function fetchAll<C extends EmailColumn>(
  mailstore: Mailstore,
  mailboxId: string,
  columns: readonly C[],
  ranges?: Ranges,
): Promise<FetchedMessage<C>[]> {
  const all: FetchedMessage<C>[] = []
  for await (const page of mailstore.fetch(mailboxId, ranges, columns)) all.push(...page)
  return all
}
