/** Emails read and searched by JMAP (RFC 8621 §4.1 to §4.5) on the real store. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startJmap } from './testing/jmap.ts'

const jmap = await startJmap()
after(() => jmap[Symbol.asyncDispose]())

type Objects = Record<string, unknown>[]
const get = async (id: string, args: Record<string, unknown> = {}) => {
  const { list, ...rest } = await jmap.call('Email/get', { ids: [id], ...args })
  const [email] = (list ?? []) as Objects
  assert.ok(email, JSON.stringify(rest))
  return email
}

const MESSAGE = `From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.net>
To: alice@example.org, Team: bob@example.org, "C, D" <c@example.org>;
Bcc: hidden@example.org
Reply-To: <list@example.net>
Subject: =?utf-8?B?R3LDvMOfZQ==?=
Date: Fri, 2 Jan 2026 05:04:05 +0200
Message-ID: <m1@example.net>
References: <a@x> <b@x>
List-Unsubscribe: <mailto:off@example.net>, <https://example.net/off>
X-Thing: one
X-Thing: =?utf-8?Q?zw=C3=B6?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=A

--A
Content-Type: multipart/alternative; boundary=B

--B
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe aus K=F6ln
--B
Content-Type: text/html

<p>Hello <b>world</b></p>
--B--
--A
Content-Type: image/png; name=dot.png
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=dot.png
Content-ID: <dot@x>

AAECAw==
--A--
`

test('Email/get shows metadata, header fields in their forms, and the body (RFC 8621 §4.1)', async () => {
  const { emailId, threadId, blobId } = await jmap.deliver(MESSAGE, new Date('2026-01-02T03:04:06Z'), [
    '$seen',
    '$deleted',
  ])
  const email = await get(emailId)
  assert.equal(email.id, emailId)
  assert.equal(email.threadId, threadId)
  assert.equal(email.blobId, `B${blobId}`)
  assert.deepEqual(email.mailboxIds, { [await jmap.mailbox('inbox')]: true })
  assert.deepEqual(email.keywords, { $seen: true }, 'IMAP alone has \\Deleted')
  assert.equal(email.receivedAt, '2026-01-02T03:04:06Z')
  assert.equal(email.sentAt, '2026-01-02T05:04:05+02:00')
  assert.deepEqual(email.from, [{ name: 'Jörg', email: 'joerg@example.net' }])
  assert.deepEqual(
    (email.to as Objects).map((one) => one.email),
    ['alice@example.org', 'bob@example.org', 'c@example.org'],
  )
  assert.deepEqual(email.bcc, [{ name: null, email: 'hidden@example.org' }])
  assert.deepEqual(email.replyTo, [{ name: null, email: 'list@example.net' }])
  assert.equal(email.cc, null)
  assert.equal(email.subject, 'Grüße')
  assert.deepEqual(email.messageId, ['m1@example.net'])
  assert.deepEqual(email.references, ['a@x', 'b@x'])
  assert.equal(email.hasAttachment, true)
  assert.match(String(email.preview), /^Grüße aus Köln/)
  assert.deepEqual(email.bodyValues, {})
  assert.deepEqual(
    (email.textBody as Objects).map((part) => [part.partId, part.type, part.charset]),
    [['1.1', 'text/plain', 'iso-8859-1']],
  )
  assert.deepEqual(
    (email.htmlBody as Objects).map((part) => part.partId),
    ['1.2'],
  )
  assert.deepEqual(
    (email.attachments as Objects).map((part) => [part.name, part.size, part.cid, part.disposition]),
    [['dot.png', 4, 'dot@x', 'attachment']],
  )
})

test('header properties: raw, text, grouped, URLs, all (RFC 8621 §4.1.2)', async () => {
  const { emailId } = await jmap.deliver(MESSAGE)
  const properties = [
    'header:X-Thing',
    'header:x-thing:asText:all',
    'header:To:asGroupedAddresses',
    'header:List-Unsubscribe:asURLs',
    'header:Date:asDate',
    'header:Message-ID:asMessageIds',
    'header:Absent:asText',
    'header:Absent:all',
  ]
  const email = await get(emailId, { properties })
  assert.deepEqual(email, {
    id: emailId,
    'header:X-Thing': ' =?utf-8?Q?zw=C3=B6?=',
    'header:x-thing:asText:all': ['one', 'zwö'],
    'header:To:asGroupedAddresses': [
      { name: null, addresses: [{ name: null, email: 'alice@example.org' }] },
      {
        name: 'Team',
        addresses: [
          { name: null, email: 'bob@example.org' },
          { name: 'C, D', email: 'c@example.org' },
        ],
      },
    ],
    'header:List-Unsubscribe:asURLs': ['mailto:off@example.net', 'https://example.net/off'],
    'header:Date:asDate': '2026-01-02T05:04:05+02:00',
    'header:Message-ID:asMessageIds': ['m1@example.net'],
    'header:Absent:asText': null,
    'header:Absent:all': [],
  })
  const refused = await jmap.call('Email/get', { ids: [emailId], properties: ['header:From:asDate'] })
  assert.equal(refused.type, 'invalidArguments')
})

test('subParts that are asked for are null in what is no multipart (RFC 8621 §4.1.4)', async () => {
  const { emailId } = await jmap.deliver(MESSAGE)
  const email = await get(emailId, { properties: ['textBody'], bodyProperties: ['partId', 'subParts'] })
  assert.deepEqual(email.textBody, [{ partId: '1.1', subParts: null }])
})

test('Email/parse tells metadata that is asked for as null (RFC 8621 §4.9)', async () => {
  const body = 'Subject: s\r\n\r\n'
  const upload = await jmap.request(`/jmap/upload/${jmap.alice}/`, { method: 'POST', body })
  const { blobId = '' } = (await upload.json()) as Record<string, string>
  const properties = ['id', 'mailboxIds', 'keywords', 'receivedAt', 'threadId', 'subject']
  const { parsed } = await jmap.call('Email/parse', { blobIds: [blobId], properties })
  const metadata = { id: null, mailboxIds: null, keywords: null, receivedAt: null, threadId: null }
  assert.deepEqual(parsed, { [blobId]: { ...metadata, subject: 's' } })
})

test('bodyStructure with part headers, and body values decoded and cut (RFC 8621 §4.2)', async () => {
  const { emailId } = await jmap.deliver(MESSAGE)
  const email = await get(emailId, {
    properties: ['bodyStructure', 'bodyValues'],
    bodyProperties: ['partId', 'type', 'header:Content-Disposition'],
    fetchAllBodyValues: true,
    maxBodyValueBytes: 8,
  })
  assert.deepEqual(email.bodyStructure, {
    partId: null,
    type: 'multipart/mixed',
    'header:Content-Disposition': null,
    subParts: [
      {
        partId: null,
        type: 'multipart/alternative',
        'header:Content-Disposition': null,
        subParts: [
          { partId: '1.1', type: 'text/plain', 'header:Content-Disposition': null },
          { partId: '1.2', type: 'text/html', 'header:Content-Disposition': null },
        ],
      },
      { partId: '2', type: 'image/png', 'header:Content-Disposition': ' attachment; filename=dot.png' },
    ],
  })
  assert.deepEqual(email.bodyValues, {
    '1.1': { value: 'Grüße ', isEncodingProblem: false, isTruncated: true },
    '1.2': { value: '<p>Hello', isEncodingProblem: false, isTruncated: true },
  })
})

test('a part downloads decoded, the message as it came', async () => {
  const { emailId, blobId } = await jmap.deliver(MESSAGE)
  const [attachment] = (await get(emailId, { properties: ['attachments'] })).attachments as Objects
  const part = await jmap.request(`/jmap/download/${jmap.alice}/${attachment?.blobId}/dot.png`)
  assert.equal(part.headers.get('Content-Type'), 'image/png')
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), Buffer.from([0, 1, 2, 3]))
  const whole = await jmap.request(`/jmap/download/${jmap.alice}/B${blobId}/m.eml`)
  assert.equal(await whole.text(), MESSAGE.replaceAll('\n', '\r\n'))
})

test('the first screen: a query, and its emails by result reference (RFC 8620 §3.7)', async () => {
  const { emailId } = await jmap.deliver('Subject: newest\n\nx\n', new Date('2030-01-01T00:00:00Z'))
  const [query, emails, threads] = await jmap.calls(
    [
      'Email/query',
      {
        accountId: jmap.alice,
        filter: { inMailbox: await jmap.mailbox('inbox') },
        sort: [{ property: 'receivedAt', isAscending: false }],
        collapseThreads: true,
        limit: 2,
        calculateTotal: true,
      },
      'q',
    ],
    [
      'Email/get',
      {
        accountId: jmap.alice,
        '#ids': { resultOf: 'q', name: 'Email/query', path: '/ids' },
        properties: ['subject', 'threadId'],
      },
      'e',
    ],
    [
      'Thread/get',
      { accountId: jmap.alice, '#ids': { resultOf: 'e', name: 'Email/get', path: '/list/*/threadId' } },
      't',
    ],
  )
  const ids = query?.[1].ids as string[]
  assert.equal(ids[0], emailId)
  assert.equal(ids.length, 2)
  assert.ok(Number(query?.[1].total) >= 2)
  const [newest] = (emails?.[1].list ?? []) as Objects
  assert.equal(newest?.subject, 'newest')
  const [thread] = (threads?.[1].list ?? []) as Objects
  assert.deepEqual(thread?.emailIds, [emailId])
})

test('a keyword that cannot be one is refused, and NUL in a text finds nothing', async () => {
  assert.equal((await jmap.call('Email/query', { filter: { hasKeyword: 'a\0b' } })).type, 'invalidArguments')
  assert.deepEqual((await jmap.call('Email/query', { filter: { header: ['X\0Y', 'a\0b'] } })).ids, [])
})

test('filters and sorts that there are not are refused by name', async () => {
  assert.equal((await jmap.call('Email/query', { filter: { colour: 'red' } })).type, 'unsupportedFilter')
  assert.equal((await jmap.call('Email/query', { sort: [{ property: 'colour' }] })).type, 'unsupportedSort')
  assert.equal((await jmap.call('Email/query', { anchor: 'e999999' })).type, 'anchorNotFound')
})

test('searching: words in text, phrases, header fields, NOT', async () => {
  const { emailId } = await jmap.deliver('Subject: Quarterly figures\nX-Origin: Mars\n\nThe yellow submarine dives.\n')
  const find = async (filter: unknown) => (await jmap.call('Email/query', { filter })).ids as string[]
  assert.deepEqual(await find({ text: 'submarine figures' }), [emailId])
  assert.deepEqual(await find({ body: '"yellow submarine"' }), [emailId])
  assert.deepEqual(await find({ body: '"submarine yellow"' }), [])
  assert.deepEqual(await find({ header: ['X-Origin', 'mars'] }), [emailId])
  const not = { operator: 'NOT', conditions: [{ subject: 'Quarterly' }] }
  assert.deepEqual(await find({ operator: 'AND', conditions: [{ body: 'submarine' }, not] }), [])
  const { list } = await jmap.call('SearchSnippet/get', { filter: { text: 'submarine' }, emailIds: [emailId] })
  assert.match(String((list as Objects)[0]?.preview), /yellow <mark>submarine<\/mark> dives/)
})

test('queryChanges is not calculated, as the query says', async () => {
  const { queryState, canCalculateChanges } = await jmap.call('Email/query', { limit: 1 })
  assert.equal(canCalculateChanges, false)
  assert.equal((await jmap.call('Email/queryChanges', { sinceQueryState: queryState })).type, 'cannotCalculateChanges')
})

test('what clients send beside the RFC in a comparator, and null in a filter, changes nothing', async () => {
  const sort = [{ property: 'receivedAt', isAscending: false, anchorOffset: 0, position: 0 }]
  const { ids, type } = await jmap.call('Email/query', { filter: { text: 'submarine', from: null }, sort })
  assert.equal((ids as string[] | undefined)?.length, 1, String(type))
})
