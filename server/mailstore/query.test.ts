import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import { createFixture, fetchAll, item, message, type TestUser } from './testing/fixture.ts'
import { AnchorNotFound, type EmailFilter, type EmailQuery, type EmailSort, FilterTooComplex } from './types.ts'

let store: TestStore
let user: TestUser
/** Emails by letter; received in the order of the alphabet, a second apart. */
const emails = new Map<string, string>()
const threads = new Map<string, string>()

const html = '<html><body><p>Quarterly&nbsp;<b>figures</b></p></body></html>'
const MESSAGES: { [letter: string]: { raw: string; keywords?: string[]; mailbox?: 'archive' } } = {
  a: {
    raw: 'From: Ann Lee <ann@example.net>\r\nTo: alice@example.org\r\nSubject: =?utf-8?q?=C3=9Cbersicht?=\r\nMessage-ID: <a@x>\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n\r\nThe plan',
    keywords: ['$seen'],
  },
  b: {
    raw: 'From: Bob <bob@example.net>\r\nTo: team@example.org\r\nCc: ann@example.net\r\nSubject: Re: 100% sure\r\nMessage-ID: <b@x>\r\nDate: Sun, 31 May 2026 23:00:00 -1000\r\n\r\nplain words',
  },
  c: {
    raw: `From: carol@example.net\r\nSubject: 100x sure\r\nReferences: <b@x>\r\nMessage-ID: <c@x>\r\nX-Tag: Blue Sky\r\nContent-Type: text/html\r\n\r\n${html}`,
    keywords: ['$flagged', '$seen'],
  },
  d: {
    raw: `From: dora@example.net\r\nSubject: 100% sure\r\nIn-Reply-To: <b@x>\r\nMessage-ID: <D@x>\r\n\r\n${'long '.repeat(500)}`,
    mailbox: 'archive',
    keywords: ['$seen'],
  },
  e: {
    raw: 'From: eve@example.net\r\nSubject: file\r\nBcc: hidden@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nsee file\r\n--q\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=r.pdf\r\n\r\nx\r\n--q--\r\n',
  },
}

before(async () => {
  store = await startTestStore()
  user = await createFixture(() => store).newAccount()
  for (const [letter, { raw, keywords = [], mailbox }] of Object.entries(MESSAGES)) {
    const mailboxes = [{ id: mailbox ? user[mailbox].id : user.inbox.id }]
    const receivedAt = new Date(Date.UTC(2026, 5, 2, 0, 0, letter.charCodeAt(0)))
    const [stored] = await store.mailstore.ingest([
      item(user.id, Buffer.from(raw), { mailboxes, keywords, receivedAt }),
    ])
    emails.set(stored?.emailId ?? '', letter)
    threads.set(letter, stored?.threadId ?? '')
  }
})
after(() => store[Symbol.asyncDispose]())

const letters = (ids: readonly string[]) => ids.map((id) => emails.get(id)).join('')
const idOf = (letter: string) => [...emails].find(([, one]) => one === letter)?.[0] ?? ''
const BY_ARRIVAL: EmailSort[] = [{ property: 'receivedAt', ascending: true }]

function query(filter: EmailFilter, more: Partial<EmailQuery> = {}) {
  return store.mailstore.query(user.id, {
    filter,
    sort: BY_ARRIVAL,
    collapseThreads: false,
    position: 0,
    limit: 100,
    calculateTotal: true,
    ...more,
  })
}

const received = (letter: string) => new Date(Date.UTC(2026, 5, 2, 0, 0, letter.charCodeAt(0)))

for (const [name, filter, want] of [
  ['all', () => ({ all: true }), 'abcde'],
  ['in the inbox', () => ({ inMailbox: user.inbox.id }), 'abce'],
  ['in an unknown mailbox', () => ({ inMailbox: 'm999999' }), ''],
  ['in another mailbox than the inbox', () => ({ inMailboxOtherThan: [user.inbox.id] }), 'd'],
  ['from, by name, any case', () => ({ from: 'ANN lee' }), 'a'],
  ['from, by address', () => ({ from: '@example.net' }), 'abcde'],
  ['cc', () => ({ cc: 'ann@' }), 'b'],
  ['to', () => ({ to: 'team' }), 'b'],
  ['bcc', () => ({ bcc: 'hidden' }), 'e'],
  ['decoded subject beyond ASCII, any case', () => ({ subject: 'üBERS' }), 'a'],
  ['subject with LIKE’s own wildcards', () => ({ subject: '100%' }), 'bd'],
  ['a keyword', () => ({ hasKeyword: '$flagged' }), 'c'],
  ['no keyword', () => ({ not: { hasKeyword: '$seen' } }), 'be'],
  // c refers to b, but under another base subject.
  ['threads wholly seen', () => ({ allInThreadHaveKeyword: '$seen' }), 'ac'],
  ['threads partly seen', () => ({ someInThreadHaveKeyword: '$seen' }), 'abcd'],
  ['threads without a flag', () => ({ noneInThreadHaveKeyword: '$seen' }), 'e'],
  ['received before', () => ({ receivedBefore: received('c') }), 'ab'],
  ['received since', () => ({ receivedSince: received('c') }), 'cde'],
  ['sent before, by the day that its sender wrote', () => ({ sentBefore: new Date('2026-06-01T00:00:00Z') }), 'b'],
  ['sent since, where there is a date', () => ({ sentSince: new Date('2026-01-01T00:00:00Z') }), 'ab'],
  ['larger', () => ({ largerThan: 2000 }), 'd'],
  ['smaller', () => ({ and: [{ smallerThan: 2000 }, { from: 'bob' }] }), 'b'],
  ['with attachment', () => ({ hasAttachment: true }), 'e'],
  ['a header field', () => ({ header: 'X-Tag', contains: 'blue' }), 'c'],
  ['having a header field', () => ({ header: 'x-tag', contains: '' }), 'c'],
  ['by Message-ID', () => ({ header: 'Message-Id', contains: '<d@X>' }), 'd'],
  ['text of the body, HTML decoded', () => ({ body: 'quarterly figures' }), 'c'],
  ['text anywhere: header', () => ({ text: 'übersicht' }), 'a'],
  ['text anywhere: body', () => ({ text: 'PLAIN words' }), 'b'],
  ['not in the body', () => ({ not: { body: 'the plan' } }), 'bcde'],
  ['body or keyword', () => ({ or: [{ body: 'the plan' }, { hasKeyword: '$flagged' }] }), 'ac'],
  ['neither body nor keyword', () => ({ not: { or: [{ body: 'the plan' }, { hasKeyword: '$flagged' }] } }), 'bde'],
  ['an email', () => ({ emailId: idOf('b') }), 'b'],
  ['a thread', () => ({ threadId: threads.get('b') ?? '' }), 'bd'],
  ['ids that are none', () => ({ or: [{ emailId: 'nonsense' }, { threadId: "t1' or true" }] }), ''],
  ['nothing to be all of', () => ({ and: [] }), 'abcde'],
  ['nothing to be one of', () => ({ or: [] }), ''],
] as [string, () => EmailFilter, string][]) {
  test(`query: ${name}`, async () => {
    const result = await query(filter())
    assert.equal(letters(result.ids), want)
    assert.equal(result.total, want.length)
  })
}

test('search answers UIDs of one mailbox, by index and by content', async () => {
  const search = async (filter: EmailFilter) =>
    (await store.mailstore.search(user.id, user.inbox.id, filter)).map(({ uid }) => uid)
  assert.deepEqual(await search({ all: true }), [1, 2, 3, 4])
  assert.deepEqual(
    await search({
      uids: [
        [1, 1],
        [3, 900],
      ],
    }),
    [1, 3, 4],
  )
  assert.deepEqual(await search({ and: [{ uids: [[2, 4]] }, { not: { text: 'file' } }] }), [2, 3])
  const [, second] = await fetchAll(store.mailstore, user.inbox.id, [])
  assert.deepEqual(await search({ modSeqAtLeast: second?.modSeq ?? 0 }), [2, 3, 4])
  assert.deepEqual(await store.mailstore.search(store.bob.id, user.inbox.id, { all: true }), [])
})

for (const [property, want] of [
  ['sentAt', 'bacde'],
  ['from', 'abcde'],
  ['subject', 'bdcea'],
  ['size', undefined],
] as const) {
  test(`sort by ${property}, both ways`, async () => {
    const up = letters(
      (
        await query(
          { all: true },
          {
            sort: [
              { property, ascending: true },
              { property: 'receivedAt', ascending: true },
            ],
          },
        )
      ).ids,
    )
    const down = letters(
      (
        await query(
          { all: true },
          {
            sort: [
              { property, ascending: false },
              { property: 'receivedAt', ascending: false },
            ],
          },
        )
      ).ids,
    )
    const bySize = Object.keys(MESSAGES)
      .sort((x, y) => (MESSAGES[x]?.raw.length ?? 0) - (MESSAGES[y]?.raw.length ?? 0))
      .join('')
    assert.equal(up, want ?? bySize)
    assert.equal(down, [...up].reverse().join(''))
  })
}

test('sort by keyword: those without it first when ascending', async () => {
  const sort: EmailSort[] = [{ property: 'hasKeyword', keyword: '$seen', ascending: true }, ...BY_ARRIVAL]
  assert.equal(letters((await query({ all: true }, { sort })).ids), 'beacd')
})

for (const [name, more, ids, position, total] of [
  ['a window', { position: 1, limit: 2 }, 'bc', 1, 4],
  ['newest first', { sort: [{ property: 'receivedAt', ascending: false }], limit: 2 }, 'ec', 0, 4],
  ['from the end', { position: -2, limit: 5 }, 'ce', 2, 4],
  ['beyond the end', { position: 9, limit: 5 }, '', 9, 4],
  ['no total asked', { limit: 1, calculateTotal: false }, 'a', 0, undefined],
] as [string, Partial<EmailQuery>, string, number, number | undefined][]) {
  test(`window of a mailbox: ${name} (RFC 8620 §5.5)`, async () => {
    const result = await query({ inMailbox: user.inbox.id }, more)
    assert.deepEqual([letters(result.ids), result.position, result.total], [ids, position, total])
  })
}

test('anchor with offset; an anchor that is not in the result is an error', async () => {
  const at = (letter: string, anchorOffset = 0) =>
    query({ inMailbox: user.inbox.id }, { anchor: idOf(letter), anchorOffset, limit: 2 })
  assert.equal(letters((await at('c')).ids), 'ce')
  const before = await at('c', -1)
  assert.deepEqual([letters(before.ids), before.position], ['bc', 1])
  await assert.rejects(at('d'), AnchorNotFound)
})

test('collapsed threads show the first email of each, walked or read whole', async () => {
  const collapsed = (filter: EmailFilter) => query(filter, { collapseThreads: true })
  const everywhere = await collapsed({ all: true })
  assert.deepEqual([letters(everywhere.ids), everywhere.total], ['abce', 4])
  const other = await createFixture(() => store).newAccount()
  const stored = await store.mailstore.ingest(
    Array.from({ length: 450 }, (_, index) =>
      item(other.id, message({ subject: `T${index % 3}`, references: `<${index % 3}@t>` })),
    ),
  )
  const newest = [stored[449], stored[448], stored[447]].map((one) => one?.emailId)
  const sort: EmailSort[] = [{ property: 'receivedAt', ascending: false }]
  const ask = (position: number) =>
    store.mailstore.query(other.id, {
      filter: { inMailbox: other.inbox.id },
      sort,
      collapseThreads: true,
      position,
      limit: 9,
      calculateTotal: true,
    })
  const first = await ask(0)
  assert.deepEqual([first.ids, first.total], [newest, 3])
  assert.deepEqual((await ask(2)).ids, newest.slice(2))
})

test('a filter nested beyond measure is refused', async () => {
  let filter: EmailFilter = { all: true }
  for (let depth = 0; depth < 100; depth++) filter = { not: filter }
  await assert.rejects(query(filter), FilterTooComplex)
})

test('a whole account is walked as one list: mailboxes merged, an email in two of them once', async () => {
  const other = await createFixture(() => store).newAccount()
  const second = Date.UTC(2026, 5, 3) / 1000
  const stored = await store.mailstore.ingest(
    Array.from({ length: 300 }, (_, index) =>
      item(other.id, message({ subject: `n${index}` }), {
        mailboxes: [
          [{ id: other.inbox.id }],
          [{ id: other.archive.id }],
          [{ id: other.inbox.id }, { id: other.archive.id }],
        ][index % 3] ?? [{ id: other.inbox.id }],
        // Several in the same second, so that ties count too.
        receivedAt: new Date((second + Math.floor(index / 4)) * 1000),
      }),
    ),
  )
  const newestFirst = stored.map(({ emailId }) => emailId).reverse()
  for (const [position, limit] of [
    [0, 50],
    [40, 100],
    [290, 50],
    [300, 5],
  ] as const) {
    const result = await store.mailstore.query(other.id, {
      filter: { all: true },
      sort: [{ property: 'receivedAt', ascending: false }],
      collapseThreads: false,
      position,
      limit,
      calculateTotal: true,
    })
    assert.deepEqual(result.ids, newestFirst.slice(position, position + limit), `${position}+${limit}`)
    assert.equal(result.total, 300)
  }
})
