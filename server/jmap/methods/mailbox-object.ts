/** The Mailbox object (RFC 8621 §2). */
import type { Mailbox } from '../../mailstore/types.ts'

export const RIGHTS = {
  mayReadItems: true,
  mayAddItems: true,
  mayRemoveItems: true,
  maySetSeen: true,
  maySetKeywords: true,
  mayCreateChild: true,
  mayRename: true,
  mayDelete: true,
  maySubmit: true,
}

export function mailboxObject(mailbox: Mailbox) {
  return {
    id: mailbox.id,
    name: mailbox.name,
    parentId: mailbox.parentId,
    role: mailbox.role,
    sortOrder: mailbox.sortOrder,
    totalEmails: mailbox.totalEmails,
    unreadEmails: mailbox.unreadEmails,
    totalThreads: mailbox.totalThreads,
    unreadThreads: mailbox.unreadThreads,
    // The inbox cannot be deleted, and renaming it by name means something else in IMAP (RFC 9051 §6.3.6).
    myRights: mailbox.role === 'inbox' ? { ...RIGHTS, mayRename: false, mayDelete: false } : RIGHTS,
    isSubscribed: mailbox.subscribed,
  }
}

export const MAILBOX_PROPERTIES = [
  'id',
  'name',
  'parentId',
  'role',
  'sortOrder',
  'totalEmails',
  'unreadEmails',
  'totalThreads',
  'unreadThreads',
  'myRights',
  'isSubscribed',
]
