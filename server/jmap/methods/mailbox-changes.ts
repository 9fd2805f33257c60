import { changesMethod } from './changes.ts'

/** Mailbox/changes. RFC 8620 §5.2, RFC 8621 §2.2. */
export const mailboxChanges = changesMethod('Mailbox', () => ({ updatedProperties: null }))
