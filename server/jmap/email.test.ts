/** Emails by JMAP (RFC 8621 §4) on the real store. */
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
const set = (args: Record<string, unknown>) => jmap.call('Email/set', args)
const errorOf = (response: Record<string, unknown>, kind: string, key: string) =>
  (response[kind] as Record<string, Record<string, unknown>> | null)?.[key]
const createdOf = (response: Record<string, unknown>, key: string) => {
  const created = (response.created as Record<string, Record<string, unknown>> | null)?.[key]
  assert.ok(created, JSON.stringify(response))
  return created
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

test('Email/set create writes the message that was described, and Email/changes tells it (RFC 8621 §4.6)', async () => {
  const before = (await jmap.call('Email/get', { ids: [] })).state
  const drafts = await jmap.mailbox('drafts')
  const upload = await jmap.request(`/jmap/upload/${jmap.alice}/`, { method: 'POST', body: Buffer.from([9, 8, 7]) })
  const { blobId } = (await upload.json()) as Record<string, string>
  const response = await set({
    create: {
      d: {
        mailboxIds: { [drafts]: true },
        keywords: { $draft: true, $Seen: true },
        from: [{ name: 'Alice Ångström', email: 'alice@example.org' }],
        to: [{ name: 'Bob "B"', email: 'bob@example.org' }],
        subject: 'Prüfung '.repeat(20).trim(),
        'header:X-Mood:asText': 'grün',
        textBody: [{ partId: 't', type: 'text/plain' }],
        htmlBody: [{ partId: 'h', type: 'text/html' }],
        attachments: [{ blobId, type: 'application/x-test', name: 'ürgent.bin' }],
        bodyValues: { t: { value: 'Zeile 1 = ü\nZeile 2 ' }, h: { value: `<p>${'ä'.repeat(300)}</p>` } },
      },
    },
  })
  const { id } = createdOf(response, 'd')
  const email = await get(String(id), {
    properties: [
      'from',
      'to',
      'subject',
      'keywords',
      'header:X-Mood:asText',
      'textBody',
      'htmlBody',
      'attachments',
      'bodyValues',
      'messageId',
      'sentAt',
      'headers',
    ],
    fetchAllBodyValues: true,
  })
  assert.deepEqual(email.from, [{ name: 'Alice Ångström', email: 'alice@example.org' }])
  assert.deepEqual(email.to, [{ name: 'Bob "B"', email: 'bob@example.org' }])
  assert.equal(email.subject, 'Prüfung '.repeat(20).trim())
  assert.deepEqual(email.keywords, { $draft: true, $seen: true })
  assert.equal(email['header:X-Mood:asText'], 'grün')
  const values = Object.values(email.bodyValues as Record<string, { value: string }>).map(({ value }) =>
    value.trimEnd(),
  )
  assert.deepEqual(values, ['Zeile 1 = ü\nZeile 2', `<p>${'ä'.repeat(300)}</p>`])
  const [attachment] = email.attachments as Objects
  assert.deepEqual([attachment?.name, attachment?.type, attachment?.size], ['ürgent.bin', 'application/x-test', 3])
  assert.equal((email.messageId as string[]).length, 1)
  assert.ok(email.sentAt)
  const changes = await jmap.call('Email/changes', { sinceState: before })
  assert.deepEqual([changes.created, changes.updated, changes.destroyed], [[id], [], []])
  assert.equal(changes.newState, response.newState)
})

test('Email/set create with bodyStructure: any tree, with parts of other messages (RFC 8621 §4.6)', async () => {
  const { blobId } = await jmap.deliver('Subject: forwarded\n\ninner\n')
  const response = await set({
    create: {
      d: {
        mailboxIds: { [await jmap.mailbox('drafts')]: true },
        subject: 'Fwd',
        bodyStructure: {
          type: 'multipart/mixed',
          subParts: [
            { partId: 'a', type: 'text/plain', 'header:X-Part:asText': 'first' },
            { blobId: `B${blobId}`, type: 'message/rfc822', name: 'mail.eml', disposition: 'attachment' },
          ],
        },
        bodyValues: { a: { value: 'see below' } },
      },
    },
  })
  const email = await get(String(createdOf(response, 'd').id), {
    properties: ['bodyStructure'],
    bodyProperties: ['type', 'name', 'size', 'header:X-Part:asText', 'blobId'],
  })
  const { type, subParts } = email.bodyStructure as { type: string; subParts: Objects }
  assert.equal(type, 'multipart/mixed')
  assert.deepEqual(
    subParts.map((part) => [part.type, part.name, part.size, part['header:X-Part:asText']]),
    [
      ['text/plain', null, 9, 'first'],
      ['message/rfc822', 'mail.eml', 29, null],
    ],
  )
  const { parsed } = await jmap.call('Email/parse', { blobIds: [subParts[1]?.blobId], properties: ['subject'] })
  assert.deepEqual(Object.values(parsed as object), [{ subject: 'forwarded' }])
})

for (const [given, object, error] of [
  ['no mailbox', { mailboxIds: {} }, { type: 'invalidProperties', properties: ['mailboxIds'] }],
  [
    'a mailbox that is not there',
    { mailboxIds: { m999999: true } },
    { type: 'invalidProperties', properties: ['mailboxIds'] },
  ],
  ['an unknown property', { colour: 'red' }, { type: 'invalidProperties', properties: ['colour'] }],
  [
    'a header injection',
    { 'header:X-A': 'a\r\nBcc: b@example.org' },
    { type: 'invalidProperties', properties: ['header:X-A'] },
  ],
  [
    'an address with a line break',
    { to: [{ email: 'a@b.example\r\nBcc: c@d.example' }] },
    { type: 'invalidProperties', properties: ['to'] },
  ],
  [
    'the same field twice',
    { subject: 'a', 'header:Subject:asText': 'b' },
    { type: 'invalidProperties', properties: ['header:Subject:asText'] },
  ],
  [
    'a body value that is not there',
    { textBody: [{ partId: 'x' }] },
    { type: 'invalidProperties', properties: ['bodyValues/x'] },
  ],
  [
    'a blob that is not there',
    { attachments: [{ blobId: `B${'0'.repeat(64)}` }] },
    { type: 'blobNotFound', notFound: [`B${'0'.repeat(64)}`] },
  ],
] as const)
  test(`Email/set create with ${given}: ${error.type}`, async () => {
    const mailboxIds = { [await jmap.mailbox('drafts')]: true }
    const response = await set({ create: { d: { mailboxIds, ...object } } })
    const { description: _, ...actual } = errorOf(response, 'notCreated', 'd') ?? {}
    assert.deepEqual(actual, error)
  })

test('Email/set update: patches and whole sets, in one move; wrong ones are named', async () => {
  const { emailId } = await jmap.deliver('Subject: u\n\nx\n', undefined, ['$deleted'])
  const [inbox, archive] = [await jmap.mailbox('inbox'), await jmap.mailbox('archive')]
  await set({
    update: {
      [emailId]: { 'keywords/$Flagged': true, [`mailboxIds/${inbox}`]: null, [`mailboxIds/${archive}`]: true },
    },
  })
  const email = await get(emailId, { properties: ['keywords', 'mailboxIds'] })
  assert.deepEqual([email.keywords, email.mailboxIds], [{ $flagged: true }, { [archive]: true }])
  await set({ update: { [emailId]: { keywords: { $seen: true } } } })
  assert.deepEqual((await get(emailId, { properties: ['keywords'] })).keywords, { $seen: true })
  const [stored] = await jmap.mailstore.emails(jmap.alice, [emailId], [])
  assert.deepEqual(stored?.keywords.toSorted(), ['$deleted', '$seen'], 'what JMAP does not show stays')

  const wrong = await set({
    update: {
      [emailId]: { mailboxIds: {} },
      e99999: { keywords: {} },
      e2: { subject: 'x' },
      e3: { keywords: {}, 'keywords/$seen': true },
    },
  })
  const types = Object.values(wrong.notUpdated as Record<string, { type: string }>).map(({ type }) => type)
  assert.deepEqual(types, ['invalidProperties', 'notFound', 'invalidProperties', 'invalidPatch'])
})

test('one Email moved to a mailbox that is not there does not stop the others', async () => {
  const [one, other] = [await jmap.deliver('Subject: 1\n\n'), await jmap.deliver('Subject: 2\n\n')]
  const response = await set({
    update: { [one.emailId]: { mailboxIds: { m999999: true } }, [other.emailId]: { 'keywords/$seen': true } },
  })
  assert.deepEqual(response.updated, { [other.emailId]: null })
  assert.equal(errorOf(response, 'notUpdated', one.emailId)?.type, 'invalidProperties')
})

test('Email/set destroy, and ifInState', async () => {
  const { emailId } = await jmap.deliver('Subject: d\n\nx\n')
  assert.equal((await set({ ifInState: '0', destroy: [emailId] })).type, 'stateMismatch')
  const response = await set({ destroy: [emailId, 'e99999'] })
  assert.deepEqual(response.destroyed, [emailId])
  assert.equal(errorOf(response, 'notDestroyed', 'e99999')?.type, 'notFound')
  assert.deepEqual((await jmap.call('Email/get', { ids: [emailId] })).notFound, [emailId])
})

test('Email/import of an upload, and Email/parse of it', async () => {
  const raw = 'From: x@example.net\r\nSubject: imported\r\n\r\nhi\r\n'
  const upload = await jmap.request(`/jmap/upload/${jmap.alice}/`, { method: 'POST', body: raw })
  const { blobId } = (await upload.json()) as Record<string, string>
  const parsed = await jmap.call('Email/parse', {
    blobIds: [blobId],
    properties: ['subject', 'from', 'bodyValues'],
    fetchTextBodyValues: true,
  })
  assert.deepEqual(parsed.parsed, {
    [blobId ?? '']: {
      subject: 'imported',
      from: [{ name: null, email: 'x@example.net' }],
      bodyValues: { 1: { value: 'hi\n', isEncodingProblem: false, isTruncated: false } },
    },
  })
  const inbox = await jmap.mailbox('inbox')
  const receivedAt = '2020-02-02T02:02:02Z'
  const response = await jmap.call('Email/import', {
    emails: { i: { blobId, mailboxIds: { [inbox]: true }, receivedAt } },
  })
  const { id } = createdOf(response, 'i')
  const email = await get(String(id), { properties: ['receivedAt', 'subject', 'blobId'] })
  assert.deepEqual(email, { id, receivedAt, subject: 'imported', blobId })
})

test('Email/copy from an account that is not ours: fromAccountNotFound (RFC 8621 §4.7)', async () => {
  assert.equal((await jmap.call('Email/copy', { fromAccountId: 'a9999', create: {} })).type, 'fromAccountNotFound')
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
