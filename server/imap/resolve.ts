/** Mailbox names to mailboxes. */
import type { Mailbox, Mailstore } from '../mailstore/types.ts'
import { Refusal } from './responses.ts'

/** @throws Refusal NONEXISTENT, or the given code (TRYCREATE where the name is a destination, RFC 9051 §7.1) */
export async function mailboxAt(
  mailstore: Mailstore,
  accountId: string,
  path: string,
  code: 'NONEXISTENT' | 'TRYCREATE' = 'NONEXISTENT',
): Promise<Mailbox> {
  const mailbox = path === '' ? undefined : await mailstore.mailboxByPath(accountId, path.normalize('NFC'))
  if (!mailbox) throw new Refusal('No such mailbox', code)
  return mailbox
}
