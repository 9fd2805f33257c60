/** Commands on mailboxes: LIST to RENAME, STATUS, SELECT, names on the wire. */
import { after, before, test } from 'node:test'
import type { Account } from '../accounts/accounts.ts'
import { startTestEngine, type TestEngine } from './testing/engine.ts'
import { imapTranscript } from './testing/transcript.ts'

let engine: TestEngine
before(async () => {
  engine = await startTestEngine()
})
after(() => engine[Symbol.asyncDispose]())

/** A transcript on a fresh account. */
const onFresh = async (transcript: string, prepare?: (account: Account) => Promise<unknown>) => {
  const account = await engine.account()
  await prepare?.(account)
  await imapTranscript(engine, account, transcript)
}

test('a fresh account has its mailboxes, with special uses (RFC 6154)', () =>
  onFresh(`
    C: 1 LIST "" *
    S: * LIST (\\HasNoChildren \\Archive) "/" "Archive"
    S: * LIST (\\HasNoChildren \\Drafts) "/" "Drafts"
    S: * LIST (\\HasNoChildren) "/" "INBOX"
    S: * LIST (\\HasNoChildren \\Junk) "/" "Junk"
    S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
    S: * LIST (\\HasNoChildren \\Trash) "/" "Trash"
    S: 1 OK ...
    C: 2 LIST (SPECIAL-USE) "" %n%
    S: * LIST (\\HasNoChildren \\Junk) "/" "Junk"
    S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
    S: 2 OK ...
    C: 3 LIST "" ""
    S: * LIST (\\Noselect) "/" ""
    S: 3 OK ...
    C: 4 NAMESPACE
    S: * NAMESPACE (("" "/")) NIL NIL
    S: 4 OK ...`))

test('CREATE with parents and special use, LIST patterns, DELETE, RENAME with children', () =>
  onFresh(`
    C: 1 CREATE Projects/2026/Mail/
    S: 1 OK [MAILBOXID (m...)] ...
    C: 2 LIST "" Projects*
    S: * LIST (\\HasChildren) "/" "Projects"
    S: * LIST (\\HasChildren) "/" "Projects/2026"
    S: * LIST (\\HasNoChildren) "/" "Projects/2026/Mail"
    S: 2 OK ...
    C: 3 LIST Projects/ %
    S: * LIST (\\HasChildren) "/" "Projects/2026"
    S: 3 OK ...
    C: 4 CREATE Projects
    S: 4 NO [ALREADYEXISTS] ...
    C: 5 DELETE Projects
    S: 5 NO [HASCHILDREN] ...
    C: 6 RENAME Projects Work
    S: 6 OK ...
    C: 7 LIST "" (Projects* *Mail)
    S: * LIST (\\HasNoChildren) "/" "Work/2026/Mail"
    S: 7 OK ...
    C: 8 RENAME Nowhere Somewhere
    S: 8 NO [NONEXISTENT] ...
    C: 9 RENAME Work/2026 Sent
    S: 9 NO [ALREADYEXISTS] ...
    C: 10 DELETE Work/2026/Mail
    S: 10 OK ...
    C: 11 DELETE inbox
    S: 11 NO [CANNOT] ...
    C: 12 CREATE Important (USE (\\Important))
    S: 12 OK ...
    C: 13 CREATE More (USE (\\Important))
    S: 13 NO [USEATTR] ...
    C: 14 SELECT Work/2026/Mail
    S: 14 NO [NONEXISTENT] ...`))

test('names beyond ASCII: modified UTF-7 for IMAP4rev1, UTF-8 once it is enabled', () =>
  onFresh(`
    C: 1 CREATE Entw&APw-rfe
    S: 1 OK ...
    C: 2 CREATE "R&-D"
    S: 2 OK ...
    C: 3 LIST "" %rfe
    S: * LIST (...) "/" "Entw&APw-rfe"
    S: 3 OK ...
    C: 4 LIST "" R*
    S: * LIST (...) "/" "R&-D"
    S: 4 OK ...
    C: 5 ENABLE UTF8=ACCEPT
    S: * ENABLED UTF8=ACCEPT
    S: 5 OK ...
    C: 6 LIST "" (E* "R&D")
    S: * LIST (...) "/" "Entwürfe"
    S: * LIST (...) "/" "R&D"
    S: 6 OK ...
    C: 7 CREATE "日本語"
    S: 7 OK ...
    C: 8 STATUS 日本語 (MESSAGES)
    S: * STATUS "日本語" (MESSAGES 0)
    S: 8 OK ...`))

test('subscriptions: SUBSCRIBE, LSUB, LIST (SUBSCRIBED), RECURSIVEMATCH', () =>
  onFresh(`
    C: 1 CREATE A/B
    S: 1 OK ...
    C: 2 UNSUBSCRIBE A
    S: 2 OK ...
    C: 3 SUBSCRIBE A/B
    S: 3 OK ...
    C: 4 LSUB "" A*
    S: * LSUB (...) "/" "A/B"
    S: * LSUB (...) "/" "Archive"
    S: 4 OK ...
    C: 5 LSUB "" A%
    S: * LSUB (\\Noselect) "/" "A"
    S: * LSUB (...) "/" "Archive"
    S: 5 OK ...
    C: 6 LIST (SUBSCRIBED) "" A/%
    S: * LIST (\\HasNoChildren \\Subscribed) "/" "A/B"
    S: 6 OK ...
    C: 7 LIST (SUBSCRIBED RECURSIVEMATCH) "" A
    S: * LIST (\\HasChildren) "/" "A" ("CHILDINFO" ("SUBSCRIBED"))
    S: 7 OK ...
    C: 8 LIST (RECURSIVEMATCH) "" A
    S: 8 BAD ...
    C: 9 SUBSCRIBE Nowhere
    S: 9 NO [NONEXISTENT] ...
    C: 10 LIST "" Sent RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UNSEEN))
    S: * LIST (\\HasNoChildren \\Sent \\Subscribed) "/" "Sent"
    S: * STATUS "Sent" (MESSAGES 0 UNSEEN 0)
    S: 10 OK ...`))

test('RECURSIVEMATCH suppresses a parent whose subscribed children are all in the answer (RFC 5258 §4)', () =>
  onFresh(`
    C: 1 CREATE A/B/C
    S: 1 OK ...
    C: 2 UNSUBSCRIBE A
    S: 2 OK ...
    C: 3 UNSUBSCRIBE A/B
    S: 3 OK ...
    C: 4 LIST (SUBSCRIBED RECURSIVEMATCH) "" (A A/B A/B/C)
    S: * LIST (\\HasNoChildren \\Subscribed) "/" "A/B/C"
    S: 4 OK ...
    C: 5 LIST (SUBSCRIBED RECURSIVEMATCH) "" (A A/B)
    S: * LIST (\\HasChildren) "/" "A" ("CHILDINFO" ("SUBSCRIBED"))
    S: * LIST (\\HasChildren) "/" "A/B" ("CHILDINFO" ("SUBSCRIBED"))
    S: 5 OK ...`))

test('STATUS counts, also deleted messages and bytes', () =>
  onFresh(`
    C: 1 APPEND INBOX (\\Seen) {15+}
    C: Subject: a
    C: 
    C: b
    S: 1 OK [APPENDUID ... 1] ...
    C: 2 APPEND INBOX (\\Deleted) {15+}
    C: Subject: c
    C: 
    C: d
    S: 2 OK [APPENDUID ... 2] ...
    C: 3 STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE)
    S: * STATUS "INBOX" (MESSAGES 2 RECENT 0 UIDNEXT 3 UIDVALIDITY ... UNSEEN 1 DELETED 1 SIZE 30)
    S: 3 OK ...
    C: 4 STATUS INBOX (NONSENSE)
    S: 4 BAD ...`))

test('SELECT and EXAMINE tell what RFC 9051 §6.3.2 wants; a failed SELECT leaves nothing selected', () =>
  onFresh(`
    C: 1 SELECT INBOX
    S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft ...)
    S: * 0 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS (... \\*)] ...
    S: * OK [UIDVALIDITY ...] ...
    S: * OK [UIDNEXT 1] ...
    S: * OK [HIGHESTMODSEQ ...] ...
    S: * OK [MAILBOXID (m...)] ...
    S: 1 OK [READ-WRITE] ...
    C: 2 SELECT Nowhere
    S: * OK [CLOSED] ...
    S: 2 NO [NONEXISTENT] ...
    C: 3 CLOSE
    S: 3 BAD No mailbox selected
    C: 4 ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: 4 OK ...
    C: 5 EXAMINE Sent
    S: * FLAGS ...
    S: * 0 EXISTS
    S: * OK [PERMANENTFLAGS ()] ...
    S: * OK [UIDVALIDITY ...] ...
    S: * OK [UIDNEXT 1] ...
    S: * OK [HIGHESTMODSEQ ...] ...
    S: * OK [MAILBOXID (m...)] ...
    S: * LIST (\\Sent) "/" "Sent"
    S: 5 OK [READ-ONLY] ...
    C: 6 EXPUNGE
    S: 6 NO [NOPERM] ...`))

test('renaming INBOX moves its messages and leaves it empty (RFC 9051 §6.3.6)', () =>
  onFresh(`
    C: 1 APPEND INBOX {15+}
    C: Subject: a
    C: 
    C: b
    S: 1 OK ...
    C: 2 RENAME INBOX Old
    S: 2 OK ...
    C: 3 STATUS Old (MESSAGES)
    S: * STATUS "Old" (MESSAGES 1)
    S: 3 OK ...
    C: 4 STATUS INBOX (MESSAGES)
    S: * STATUS "INBOX" (MESSAGES 0)
    S: 4 OK ...`))

test('quota: what is used of what is allowed, and OVERQUOTA', () =>
  onFresh(
    `
    C: 1 APPEND INBOX {2000+}
    C: ${'x'.repeat(2000)}
    S: 1 OK ...
    C: 2 APPEND INBOX {2000+}
    C: ${'x'.repeat(2000)}
    S: 2 NO [OVERQUOTA] ...
    C: 3 GETQUOTAROOT INBOX
    S: * QUOTAROOT "INBOX" ""
    S: * QUOTA "" (STORAGE 2 3)
    S: 3 OK ...
    C: 4 GETQUOTA other
    S: 4 NO [NONEXISTENT] ...`,
    (account) => engine.deps.accounts.put({ address: account.address, aliases: [], quotaBytes: 3000 }),
  ))
