/** Commands on messages: APPEND, FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { startTestEngine, type TestEngine } from './testing/engine.ts'
import { type Stored, selectedInbox } from './testing/inbox.ts'
import { logIn } from './testing/transcript.ts'

let engine: TestEngine
before(async () => {
  engine = await startTestEngine()
})
after(() => engine[Symbol.asyncDispose]())

const selected = (...messages: Stored[]) => selectedInbox(engine, ...messages)
const simple = (subject: string) => `Subject: ${subject}\r\n\r\nbody of ${subject}\r\n`
const nested = readFileSync(new URL('../message/testdata/nested.eml', import.meta.url), 'latin1')

test('APPEND to the selected mailbox, with flags and date, and a missing mailbox', async () => {
  const { client } = await selected()
  await client.play(`
    C: 1 APPEND INBOX (\\Seen \\Flagged Work) "01-Feb-2026 12:30:00 +0130" {12}
    S: + OK
    C: Subject: a
    C: 
    S: * 1 EXISTS
    S: 1 OK [APPENDUID ... 1] ...
    C: 2 FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)
    S: * FLAGS (... work)
    S: * 1 FETCH (FLAGS (\\Flagged \\Seen work) INTERNALDATE " 1-Feb-2026 11:00:00 +0000" RFC822.SIZE 12)
    S: 2 OK ...
    C: 3 APPEND Nowhere {1+}
    C: x
    S: 3 NO [TRYCREATE] ...
    C: 4 APPEND INBOX {0+}
    C: 
    S: 4 NO ...
    C: 5 APPEND INBOX (\\Nonsense) {1+}
    C: x
    S: 5 BAD ...`)
})

test('MULTIAPPEND stores all or none (RFC 3502), and UTF8 literals (RFC 6855)', async () => {
  const { client } = await selected()
  await client.play(`
    C: 1 APPEND INBOX {1+}
    C: a (\\Seen) {1+}
    C: b UTF8 (~{1+}
    C: c)
    S: * 3 EXISTS
    S: 1 OK [APPENDUID ... 1:3] ...
    C: 2 APPEND INBOX {1+}
    C: d {0+}
    C: 
    S: 2 NO ...
    C: 3 STATUS INBOX (MESSAGES)
    S: * STATUS "INBOX" (MESSAGES 3)
    S: 3 OK ...`)
})

test('APPEND of binary content with NUL is refused, without it is taken (RFC 3516 §4.4)', async () => {
  const { client } = await selected()
  await client.play(`
    C: 1 APPEND INBOX ~{4+}
    C: a: \0
    S: 1 NO [UNKNOWN-CTE] ...
    C: 2 APPEND INBOX ~{4+}
    C: a: b
    S: * 1 EXISTS
    S: 2 OK [APPENDUID ...] ...`)
})

test('FETCH ENVELOPE, BODYSTRUCTURE, PREVIEW and the macros come from the index', async () => {
  const { account, client } = await selected(nested)
  await client.play(`
    C: 1 FETCH 1 (UID ENVELOPE PREVIEW)
    S: * 1 FETCH (UID 1 ENVELOPE ("Mon, 23 Nov 2026 10:00:00 +0000" "Nested" (("Alice" NIL "alice" "example.org")) (("Alice" NIL "alice" "example.org")) (("Alice" NIL "alice" "example.org")) ((NIL NIL "bob" "example.org")) NIL NIL NIL "<nested@example.org>") PREVIEW {...}
    S: Grüße aus München, soft break)
    S: 1 OK ...
    C: 2 FETCH 1 BODYSTRUCTURE
    S: * 1 FETCH (BODYSTRUCTURE ((("text" "plain" ("charset" "iso-8859-1") NIL NIL "quoted-printable" 38 2 NIL NIL NIL NIL)("text" "html" ("charset" "utf-8") NIL NIL "7bit" 117 1 NIL NIL NIL NIL) "alternative" ("boundary" "inner one") NIL NIL NIL)("application" "pdf" NIL NIL NIL "base64" 12 NIL ("attachment" ("filename*" "utf-8''Rechnung%20f%C3%BCr-Bob.pdf")) NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" ... (NIL "Inside" ((NIL NIL "carol" "example.net")) ... "<inside@example.net>") (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL) "mixed" ("boundary" "deep") NIL NIL NIL) 13 NIL NIL NIL NIL) "mixed" ("boundary" "outer") NIL NIL NIL))
    S: 2 OK ...
    C: 3 FETCH 1 FAST
    S: * 1 FETCH (FLAGS () INTERNALDATE "23-Nov-2026 10:00:00 +0000" RFC822.SIZE ${nested.length})
    S: 3 OK ...`)
  let reads = 0
  const readBlobs: typeof engine.mailstore.readBlobs = (accountId, blobIds) => {
    reads += blobIds.length
    return engine.mailstore.readBlobs(accountId, blobIds)
  }
  const watched = { ...engine, connect: () => engine.connect({ mailstore: { ...engine.mailstore, readBlobs } }) }
  const other = await logIn(watched, account)
  await other.command('1', 'SELECT INBOX')
  await other.command('2', 'FETCH 1:* FULL')
  assert.equal(reads, 0)
  await other.command('3', 'FETCH 1:* (BODY.PEEK[1.1] BODY.PEEK[2] BODY.PEEK[HEADER])')
  assert.equal(reads, 1)
})

test('FETCH BODY[section]<partial>: parts, headers, MIME, embedded messages, what does not exist', async () => {
  const { client } = await selected(nested)
  await client.play(`
    C: 1 FETCH 1 (BODY.PEEK[2] BODY.PEEK[2.MIME]<0.12> BODY.PEEK[3.1] BODY.PEEK[9] BODY.PEEK[1.1]<3.7>)
    S: * 1 FETCH (BODY[2] {12}
    S: JVBERi0xLjQK BODY[2.MIME]<0> {12}
    S: Content-Type BODY[3.1] {5}
    S: first BODY[9] NIL BODY[1.1]<3> {7}
    S: FC=DFe )
    S: 1 OK ...
    C: 2 FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT message-id)] BODY.PEEK[3.HEADER.FIELDS (Subject)])
    S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT message-id)] {...}
    S: Subject: Nested
    S: Message-ID: <nested@example.org>
    S: 
    S:  BODY[3.HEADER.FIELDS (Subject)] {19}
    S: Subject: Inside
    S: 
    S: )
    S: 2 OK ...
    C: 3 FETCH 1 (BODY.PEEK[3.HEADER.FIELDS.NOT (FROM CONTENT-TYPE SUBJECT)] BODY.PEEK[TEXT]<0.18> BODY.PEEK[]<99999.1>)
    S: * 1 FETCH (BODY[3.HEADER.FIELDS.NOT (FROM CONTENT-TYPE SUBJECT)] {...}
    S: Message-ID: <inside@example.net>
    S: 
    S:  BODY[TEXT]<0> {18}
    S: This is a preamble BODY[]<99999> {0}
    S: )
    S: 3 OK ...
    C: 4 FETCH 1 BODY[1.FOO]
    S: 4 BAD ...
    C: 5 FETCH 1 BODY.PEEK[3.2.9]
    S: * 1 FETCH (BODY[3.2.9] NIL)
    S: 5 OK ...`)
})

test('FETCH BINARY decodes the transfer encoding (RFC 3516)', async () => {
  const unknown = 'Content-Type: a/b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nabc'
  const { client } = await selected(nested, unknown)
  await client.play(`
    C: 1 FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2] BINARY.PEEK[2]<1.3>)
    S: * 1 FETCH (BINARY.SIZE[2] 9 BINARY[2] {9}
    S: %PDF-1.4... BINARY[2]<1> {3}
    S: PDF)
    S: 1 OK ...
    C: 2 FETCH 2 BINARY.PEEK[1]
    S: 2 NO [UNKNOWN-CTE] ...`)
})

test('FETCH BODY[] sets \\Seen and tells it; PEEK and EXAMINE do not', async () => {
  const { client } = await selected('a', 'b')
  await client.play(`
    C: 1 FETCH 1 BODY.PEEK[]
    S: * 1 FETCH (BODY[] {1}
    S: a)
    S: 1 OK ...
    C: 2 FETCH 1 RFC822
    S: * 1 FETCH (RFC822 {1}
    S: a FLAGS (\\Seen))
    S: 2 OK ...
    C: 3 UID FETCH 1 (FLAGS BODY[TEXT])
    S: * 1 FETCH (UID 1 FLAGS (\\Seen) BODY[TEXT] {1}
    S: a)
    S: 3 OK ...
    C: 4 EXAMINE INBOX
    S: * OK [CLOSED] ...
    S: * FLAGS ...
    S: * 2 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS ()] ...
    S: * OK [UIDVALIDITY ...] ...
    S: * OK [UIDNEXT 3] ...
    S: * OK [HIGHESTMODSEQ ...] ...
    S: * OK [MAILBOXID ...] ...
    S: 4 OK ...
    C: 5 FETCH 2 (BODY[] FLAGS)
    S: * 2 FETCH (BODY[] {1}
    S: b FLAGS ())
    S: 5 OK ...
    C: 6 STORE 1 +FLAGS (\\Flagged)
    S: 6 NO [NOPERM] ...`)
})

test('message numbers: beyond the end is BAD, UIDs that do not exist are nothing, * and backward ranges', async () => {
  const { client } = await selected('a', 'b', 'c')
  await client.play(`
    C: 1 FETCH 4 UID
    S: 1 BAD No such message number
    C: 2 UID FETCH 99 FLAGS
    S: 2 OK ...
    C: 3 FETCH *:2 UID
    S: * 2 FETCH (UID 2)
    S: * 3 FETCH (UID 3)
    S: 3 OK ...
    C: 4 UID FETCH 50:* UID
    S: * 3 FETCH (UID 3)
    S: 4 OK ...
    C: 5 FETCH 0 UID
    S: 5 BAD Bad message set`)
  const { client: empty } = await selected()
  await empty.play('C: 1 FETCH 1:* FLAGS\nS: 1 OK ...\nC: 2 UID STORE 1:* +FLAGS (\\Seen)\nS: 2 OK ...')
})

test('STORE: add, remove, replace, silent; UNCHANGEDSINCE and MODIFIED (RFC 7162)', async () => {
  const { client } = await selected('a', 'b')
  await client.play(`
    C: 1 STORE 1:2 +FLAGS (\\Seen Foo)
    S: * FLAGS (... foo)
    S: * 1 FETCH (UID 1 FLAGS (\\Seen foo))
    S: * 2 FETCH (UID 2 FLAGS (\\Seen foo))
    S: 1 OK ...
    C: 2 STORE 1 -FLAGS foo
    S: * 1 FETCH (UID 1 FLAGS (\\Seen))
    S: 2 OK ...
    C: 3 UID STORE 2 FLAGS.SILENT (\\Draft)
    S: 3 OK ...
    C: 4 FETCH 2 FLAGS
    S: * 2 FETCH (FLAGS (\\Draft))
    S: 4 OK ...
    C: 5 STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Deleted)
    S: * OK [HIGHESTMODSEQ ...] ...
    S: 5 OK [MODIFIED 1:2] ...
    C: 6 UID STORE 1 (UNCHANGEDSINCE 9999999) +FLAGS.SILENT (\\Deleted)
    S: * 1 FETCH (UID 1 MODSEQ (...))
    S: 6 OK ...
    C: 7 STORE 1 FLAGS (\\Recent)
    S: 7 BAD ...`)
})

test('SEARCH: keys, ESEARCH, saved results', async () => {
  const { client } = await selected(
    'From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Sun, 1 Nov 2026 10:00:00 +0000\r\n\r\nneedle\r\n',
    { raw: simple('second'), keywords: ['$seen', 'work'], receivedAt: new Date('2026-01-02T23:00:00Z') },
    { raw: simple('third'), keywords: ['$flagged'] },
  )
  for (const [keys, want] of [
    ['ALL', '1 2 3'],
    ['SEEN', '2'],
    ['UNSEEN', '1 3'],
    ['NEW', ''],
    ['KEYWORD Work', '2'],
    ['UNKEYWORD work FLAGGED', '3'],
    ['FROM ann', '1'],
    ['SUBJECT "grüße"', '1'],
    ['CHARSET UTF-8 SUBJECT {6+}\r\ngrüß', '1'],
    ['BODY needle', '1'],
    ['TEXT second', '2'],
    ['OR (SUBJECT second) SUBJECT third', '2 3'],
    ['NOT OR SUBJECT second SUBJECT third', '1'],
    ['BEFORE 3-Jan-2026', '2'],
    ['ON 2-Jan-2026', '2'],
    ['SINCE "23-Nov-2026"', '1 3'],
    ['SENTON 1-Nov-2026', '1'],
    ['SMALLER 45', '2 3'],
    ['LARGER 45', '1'],
    ['SMALLER 99999999999', '1 2 3'],
    ['HEADER Subject ""', '1 2 3'],
    ['HEADER To BOB', '1'],
    ['TO ""', '1'],
    ['2:*', '2 3'],
    ['UID 3,1', '1 3'],
    ['1:2 UNSEEN', '1'],
    ['YOUNGER 1', ''],
  ] as const) {
    const [answer] = await client.command('s', `SEARCH ${keys}`)
    assert.equal(answer, `* SEARCH${want === '' ? '' : ' '}${want}`, keys)
  }
  await client.play(`
    C: 1 SEARCH RETURN (MIN MAX COUNT ALL) ALL
    S: * ESEARCH (TAG "1") MIN 1 MAX 3 ALL 1:3 COUNT 3
    S: 1 OK ...
    C: 2 UID SEARCH RETURN () SUBJECT nothing
    S: * ESEARCH (TAG "2") UID
    S: 2 OK ...
    C: 3 SEARCH RETURN (SAVE) UNSEEN
    S: 3 OK ...
    C: 4 FETCH $ UID
    S: * 1 FETCH (UID 1)
    S: * 3 FETCH (UID 3)
    S: 4 OK ...
    C: 5 UID SEARCH $ FLAGGED
    S: * SEARCH 3
    S: 5 OK ...
    C: 6 SEARCH MODSEQ 1 UID 1
    S: * OK [HIGHESTMODSEQ ...] ...
    S: * SEARCH 1 (MODSEQ ...)
    S: 6 OK ...
    C: 7 SEARCH CHARSET KOI8-R ALL
    S: 7 NO [BADCHARSET (US-ASCII UTF-8)] ...
    C: 8 SEARCH NONSENSE
    S: 8 BAD ...
    C: 9 SEARCH 9
    S: 9 BAD ...`)
})

test('FETCH of a message that another session expunges meanwhile tells the others (RFC 2180 §4.1.2)', async () => {
  const { account } = await selected(simple('one'), { raw: simple('two'), keywords: ['$deleted'] }, simple('three'))
  const inbox = await engine.mailstore.mailboxByPath(account.id, 'INBOX')
  assert.ok(inbox)
  const readBlobs: typeof engine.mailstore.readBlobs = async (accountId, blobIds) => {
    await engine.mailstore.expunge(account.id, inbox.id)
    return engine.mailstore.readBlobs(accountId, blobIds)
  }
  const racing = { ...engine, connect: () => engine.connect({ mailstore: { ...engine.mailstore, readBlobs } }) }
  const client = await logIn(racing, account)
  await client.command('S', 'EXAMINE INBOX')
  await client.play(`
    C: 1 FETCH 1:* BODY.PEEK[HEADER]
    S: * 1 FETCH (BODY[HEADER] {16}
    S: Subject: one
    S: 
    S: )
    S: * 3 FETCH (BODY[HEADER] {18}
    S: Subject: three
    S: 
    S: )
    S: 1 NO [EXPUNGEISSUED] ...
    C: 2 NOOP
    S: * 2 EXPUNGE
    S: 2 OK ...`)
})

test('ESEARCH tells the MODSEQ of the messages that it tells (RFC 7162 §3.1.10)', async () => {
  const { account, client } = await selected('a', 'b', 'c')
  const inbox = await engine.mailstore.mailboxByPath(account.id, 'INBOX')
  assert.ok(inbox)
  const first = inbox.highestModSeq - 2
  await client.play(`
    C: 1 SEARCH RETURN (MIN) MODSEQ 1
    S: * OK [HIGHESTMODSEQ ${first + 2}] ...
    S: * ESEARCH (TAG "1") MIN 1 MODSEQ ${first}
    S: 1 OK ...
    C: 2 SEARCH RETURN (MAX) UID 1:2 MODSEQ 1
    S: * ESEARCH (TAG "2") MAX 2 MODSEQ ${first + 1}
    S: 2 OK ...
    C: 3 SEARCH RETURN (MIN MAX) UID 1:2 MODSEQ 1
    S: * ESEARCH (TAG "3") MIN 1 MAX 2 MODSEQ ${first + 1}
    S: 3 OK ...
    C: 4 SEARCH RETURN (MIN COUNT) MODSEQ 1
    S: * ESEARCH (TAG "4") MIN 1 MODSEQ ${first + 2} COUNT 3
    S: 4 OK ...
    C: 5 SEARCH RETURN () MODSEQ 1
    S: * ESEARCH (TAG "5") ALL 1:3 MODSEQ ${first + 2}
    S: 5 OK ...`)
})

test('SEARCH TO and CC find groups by their names, empty ones too (RFC 5322 §3.4)', async () => {
  const { client } = await selected(
    'To: =?utf-8?q?R=C3=A4te?=: ann@example.org, bob@example.org;\r\n\r\nx\r\n',
    'To: undisclosed-recipients:;\r\nCc: Board: carol@example.org;\r\n\r\nx\r\n',
  )
  await client.play(`
    C: 1 SEARCH TO "r\u00e4te"
    S: * SEARCH 1
    S: 1 OK ...
    C: 2 SEARCH TO undisclosed
    S: * SEARCH 2
    S: 2 OK ...
    C: 3 SEARCH CC board
    S: * SEARCH 2
    S: 3 OK ...
    C: 4 SEARCH TO bob@
    S: * SEARCH 1
    S: 4 OK ...`)
})

test('SENTBEFORE, SENTON and SENTSINCE go by the day in the Date field, whatever its zone (RFC 9051 §6.4.4)', async () => {
  const { client } = await selected(
    'Date: Sat, 24 Mar 2026 23:00:00 -0500\r\n\r\nlate in the west\r\n',
    'Date: Sun, 25 Mar 2026 01:00:00 +0900\r\n\r\nearly in the east\r\n',
    'Subject: undated\r\n\r\nx\r\n',
  )
  await client.play(`
    C: 1 SEARCH SENTON 24-Mar-2026
    S: * SEARCH 1
    S: 1 OK ...
    C: 2 SEARCH SENTBEFORE 25-Mar-2026
    S: * SEARCH 1
    S: 2 OK ...
    C: 3 SEARCH SENTSINCE 25-Mar-2026
    S: * SEARCH 2
    S: 3 OK ...
    C: 4 COPY 2 Archive
    S: 4 OK ...
    C: 5 SELECT Archive
    S: * OK [CLOSED] ...
    S: * FLAGS ...
    S: * 1 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS ...
    S: * OK [UIDVALIDITY ...
    S: * OK [UIDNEXT 2] ...
    S: * OK [HIGHESTMODSEQ ...
    S: * OK [MAILBOXID ...
    S: 5 OK ...
    C: 6 SEARCH SENTON 25-Mar-2026
    S: * SEARCH 1
    S: 6 OK ...`)
})

test('COPY, MOVE and EXPUNGE with their UIDs (RFC 4315, RFC 6851)', async () => {
  const { client } = await selected('a', 'b', 'c', 'd')
  await client.play(`
    C: 1 COPY 1:2 Archive
    S: 1 OK [COPYUID ... 1:2 1:2] ...
    C: 2 UID MOVE 2,4 Archive
    S: * OK [COPYUID ... 2,4 3:4] ...
    S: * 4 EXPUNGE
    S: * 2 EXPUNGE
    S: 2 OK ...
    C: 3 COPY 1 Nowhere
    S: 3 NO [TRYCREATE] ...
    C: 4 STORE 1:2 +FLAGS.SILENT (\\Deleted)
    S: 4 OK ...
    C: 5 UID EXPUNGE 3:99
    S: * 2 EXPUNGE
    S: 5 OK ...
    C: 6 EXPUNGE
    S: * 1 EXPUNGE
    S: 6 OK ...
    C: 7 COPY 1:* Archive
    S: 7 OK ...
    C: 8 STATUS Archive (MESSAGES)
    S: * STATUS "Archive" (MESSAGES 4)
    S: 8 OK ...`)
})

test('CLOSE expunges in silence, UNSELECT does not', async () => {
  const { client } = await selected({ raw: 'a', keywords: ['$deleted'] })
  await client.command('1', 'UNSELECT')
  assert.match((await client.command('2', 'SELECT INBOX')).join('\n'), /\* 1 EXISTS/)
  assert.deepEqual(await client.command('3', 'CLOSE'), ['3 OK Closed'])
  assert.match((await client.command('4', 'SELECT INBOX')).join('\n'), /\* 0 EXISTS/)
})
