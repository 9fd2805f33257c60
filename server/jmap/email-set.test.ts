/** Emails written, changed, imported and destroyed by JMAP (RFC 8621 §4.6 to §4.9) on the real store. */
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

test('fields of the only part are those of the message, and none is written a second time (RFC 8621 §4.6)', async () => {
  const contentType = 'text/calendar; charset=utf-8; method=REQUEST'
  const response = await set({
    create: {
      d: {
        mailboxIds: { [await jmap.mailbox('drafts')]: true },
        bodyStructure: {
          partId: 'a',
          'header:Content-Type': ` ${contentType}`,
          'header:Message-ID:asMessageIds': ['mine@example.org'],
          'header:Date:asDate': '2026-02-28T10:00:00Z',
        },
        bodyValues: { a: { value: 'BEGIN:VCALENDAR' } },
      },
    },
  })
  const email = await get(String(createdOf(response, 'd').id), { properties: ['messageId', 'sentAt', 'headers'] })
  assert.deepEqual(email.messageId, ['mine@example.org'])
  assert.equal(email.sentAt, '2026-02-28T10:00:00Z')
  const names = (email.headers as Objects).map(({ name }) => name)
  assert.deepEqual(names.toSorted(), [
    'Content-Transfer-Encoding',
    'Content-Type',
    'Date',
    'MIME-Version',
    'Message-ID',
  ])
  assert.equal((email.headers as Objects).find(({ name }) => name === 'Content-Type')?.value, ` ${contentType}`)
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
    'a field of the Email in its bodyStructure too',
    { subject: 'a', bodyStructure: { partId: 'x', 'header:Subject': ' b' }, bodyValues: { x: { value: '' } } },
    { type: 'invalidProperties', properties: ['subject'] },
  ],
  [
    'a field of a part twice',
    { textBody: [{ partId: 'x', cid: 'a', 'header:Content-ID': ' <b>' }], bodyValues: { x: { value: '' } } },
    { type: 'invalidProperties', properties: ['textBody/0/header:Content-ID'] },
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

test('a whole Email is a patch: what cannot change may be in it as it is, and not otherwise (RFC 8620 §5.3)', async () => {
  const { emailId } = await jmap.deliver('From: x@example.net\nSubject: whole\n\nx\n')
  const whole = await get(emailId)
  const seen = { ...whole, keywords: { $seen: true } }
  assert.deepEqual((await set({ update: { [emailId]: seen } })).updated, { [emailId]: null })
  assert.deepEqual((await get(emailId, { properties: ['keywords'] })).keywords, { $seen: true })
  const wrong = await set({ update: { [emailId]: { ...seen, subject: 'another', colour: 'red' } } })
  assert.equal(errorOf(wrong, 'notUpdated', emailId)?.type, 'invalidProperties')
  const other = await set({ update: { [emailId]: { ...seen, subject: 'another' } } })
  assert.deepEqual(errorOf(other, 'notUpdated', emailId)?.properties, ['subject'])
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

test('Email/import of what is no message: invalidEmail, as Email/parse says notParsable (RFC 8621 §4.8)', async () => {
  const body = 'this is not an email'
  const upload = await jmap.request(`/jmap/upload/${jmap.alice}/`, { method: 'POST', body })
  const { blobId } = (await upload.json()) as Record<string, string>
  assert.deepEqual((await jmap.call('Email/parse', { blobIds: [blobId] })).notParsable, [blobId])
  const mailboxIds = { [await jmap.mailbox('inbox')]: true }
  const response = await jmap.call('Email/import', { emails: { i: { blobId, mailboxIds } } })
  assert.deepEqual(errorOf(response, 'notCreated', 'i'), { type: 'invalidEmail' })
})

test('Email/copy from an account that is not ours: fromAccountNotFound (RFC 8621 §4.7)', async () => {
  assert.equal((await jmap.call('Email/copy', { fromAccountId: 'a9999', create: {} })).type, 'fromAccountNotFound')
})
