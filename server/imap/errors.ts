/** Errors of the parts below in IMAP's words: response codes of RFC 9051 §7.1 (first RFC 5530). */
import { Unavailable } from '../db/database.ts'
import {
  LimitReached,
  MailboxExists,
  MailboxHasChildren,
  MailboxNameInvalid,
  MailboxNotEmpty,
  MailboxNotFound,
  MessageTooLarge,
  OverQuota,
} from '../mailstore/types.ts'
import { bad, type Completion, no, Refusal } from './responses.ts'
import { BadCommand } from './wire/input.ts'

/** @returns undefined for an error that is our bug: the caller logs it and answers NO [SERVERBUG] */
export function completionOf(error: unknown): Completion | undefined {
  if (error instanceof BadCommand) return bad(error.message)
  if (error instanceof Refusal) return error.completion
  if (error instanceof Unavailable) return no('Temporarily unavailable, try again later', 'UNAVAILABLE')
  if (error instanceof MailboxNotFound) return no('No such mailbox', 'NONEXISTENT')
  if (error instanceof MailboxExists) return no('Mailbox exists already', 'ALREADYEXISTS')
  if (error instanceof MailboxNameInvalid) return no('Mailbox cannot have this name', 'CANNOT')
  if (error instanceof MailboxHasChildren) return no('Mailbox has children', 'HASCHILDREN')
  if (error instanceof MailboxNotEmpty) return no('Mailbox is not empty', 'CANNOT')
  if (error instanceof OverQuota) return no('Quota exceeded', 'OVERQUOTA')
  if (error instanceof MessageTooLarge) return no('Message too large', 'TOOBIG')
  if (error instanceof LimitReached) return no('Limit reached', 'LIMIT')
  return undefined
}
