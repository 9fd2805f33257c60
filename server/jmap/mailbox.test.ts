/** Mailboxes, identities and submission by JMAP (RFC 8621 §2, §6, §7) on the real store. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { SubmissionRefused } from '../queue/types.ts'
import { startJmap } from './testing/jmap.ts'

const jmap = await startJmap({
  async submit({ recipients }) {
    const unknown = recipients.filter(({ address }) => address.startsWith('nobody@')).map(({ address }) => address)
    if (unknown.length > 0) throw new SubmissionRefused({ code: 550, enhanced: '5.1.1' }, 'unknown', unknown)
    return { queueId: 'q' }
  },
})
after(() => jmap[Symbol.asyncDispose]())

type Objects = Record<string, unknown>[]
const set = (args: Record<string, unknown>) => jmap.call('Mailbox/set', args)
const all = async () => (await jmap.call('Mailbox/get', { ids: null })).list as Objects

test('a new account has its mailboxes with their roles', async () => {
  const roles = (await all()).map(({ role }) => role)
  for (const role of ['inbox', 'drafts', 'sent', 'trash', 'junk']) assert.ok(roles.includes(role), role)
})

test('Mailbox/set: created below each other, moved, destroyed (RFC 8621 §2.5)', async () => {
  const { newState, ...first } = await set({ create: { p: { name: 'Projects' }, c: { name: '2026', parentId: '#p' } } })
  const created = first.created as Record<string, { id: string }>
  const [parent, child] = [created.p?.id ?? '', created.c?.id ?? '']
  const { list } = await jmap.call('Mailbox/get', {
    ids: [child],
    properties: ['name', 'parentId', 'totalEmails', 'isSubscribed'],
  })
  assert.deepEqual(list, [{ id: child, name: '2026', parentId: parent, totalEmails: 0, isSubscribed: false }])

  assert.equal(
    ((await set({ destroy: [parent] })) as { notDestroyed: Record<string, { type: string }> }).notDestroyed[parent]
      ?.type,
    'mailboxHasChild',
  )
  await set({ update: { [child]: { parentId: null, name: 'Year', isSubscribed: true } } })
  const moved = (await all()).find(({ id }) => id === child)
  assert.deepEqual([moved?.name, moved?.parentId, moved?.isSubscribed], ['Year', null, true])
  const changes = await jmap.call('Mailbox/changes', { sinceState: newState })
  assert.deepEqual(changes.updated, [child])
  const gone = await set({ destroy: [parent, child] })
  assert.deepEqual(gone.destroyed, [parent, child])
})

test('a mailbox with mail is destroyed only when asked to with its mail', async () => {
  const { created } = (await set({ create: { m: { name: 'Full' } } })) as { created: Record<string, { id: string }> }
  const id = created.m?.id ?? ''
  const raw = Buffer.from('Subject: x\r\n\r\n')
  await jmap.mailstore.ingest([
    { accountId: jmap.alice, mailboxes: [{ id }], keywords: [], receivedAt: new Date(), raw },
  ])
  const refused = (await set({ destroy: [id] })) as { notDestroyed: Record<string, { type: string }> }
  assert.equal(refused.notDestroyed[id]?.type, 'mailboxHasEmail')
  assert.deepEqual((await set({ destroy: [id], onDestroyRemoveEmails: true })).destroyed, [id])
})

for (const [given, object, properties] of [
  ['no name', {}, ['name']],
  ['a name with a slash', { name: 'a/b' }, ['name']],
  ['a parent that is not there', { name: 'a', parentId: 'm99999' }, ['parentId']],
  ['a role that is taken', { name: 'a', role: 'inbox' }, ['role']],
  ['an unknown property', { name: 'a', colour: 'red' }, ['colour']],
] as const)
  test(`Mailbox/set create with ${given} is invalidProperties`, async () => {
    const { notCreated } = (await set({ create: { m: object } })) as {
      notCreated: Record<string, Record<string, unknown>>
    }
    assert.deepEqual([notCreated.m?.type, notCreated.m?.properties], ['invalidProperties', properties])
  })

test('a name that is taken is alreadyExists, and whose it is (RFC 8620 §5.4)', async () => {
  const existingId = await jmap.mailbox('sent')
  const response = (await set({
    create: { m: { name: 'Sent' } },
    update: { [await jmap.mailbox('archive')]: { name: 'Sent' } },
  })) as { notCreated: object; notUpdated: object }
  for (const errors of [response.notCreated, response.notUpdated])
    assert.deepEqual(Object.values(errors), [{ type: 'alreadyExists', existingId }])
  const archive = await jmap.mailbox('archive')
  const { notUpdated } = (await set({ update: { [archive]: { role: 'sent' } } })) as {
    notUpdated: Record<string, { properties: string[] }>
  }
  assert.deepEqual(notUpdated[archive]?.properties, ['role'])
})

test('a whole Mailbox is a patch: what only the server sets may be in it as it is, and not otherwise (RFC 8620 §5.3)', async () => {
  const { created } = (await set({ create: { m: { name: 'Whole' } } })) as { created: Record<string, { id: string }> }
  const id = created.m?.id ?? ''
  const whole = (await all()).find((mailbox) => mailbox.id === id)
  assert.deepEqual((await set({ update: { [id]: { ...whole, name: 'Renamed' } } })).updated, { [id]: null })
  assert.equal((await all()).find((mailbox) => mailbox.id === id)?.name, 'Renamed')
  const { notUpdated } = (await set({ update: { [id]: { ...whole, totalEmails: 7 } } })) as {
    notUpdated: Record<string, Record<string, unknown>>
  }
  assert.deepEqual([notUpdated[id]?.type, notUpdated[id]?.properties], ['invalidProperties', ['totalEmails']])
})

test('the inbox stays', async () => {
  const inbox = await jmap.mailbox('inbox')
  const response = (await set({ update: { [inbox]: { name: 'Mine' } } })) as {
    notUpdated: Record<string, { type: string }>
  }
  assert.equal(response.notUpdated[inbox]?.type, 'forbidden')
})

test('Mailbox/query by role, name and order (RFC 8621 §2.3)', async () => {
  const inbox = await jmap.mailbox('inbox')
  assert.deepEqual((await jmap.call('Mailbox/query', { filter: { role: 'inbox' } })).ids, [inbox])
  const { ids, total } = await jmap.call('Mailbox/query', {
    sort: [{ property: 'name' }],
    calculateTotal: true,
    position: 1,
    limit: 2,
  })
  assert.equal((ids as string[]).length, 2)
  assert.equal(total, (await all()).length)
})

test('an identity has the display name of the account, for From (RFC 8621 §6)', async () => {
  const identity = async () => ((await jmap.call('Identity/get', { ids: null })).list as Objects)[0]
  assert.equal((await identity())?.name, '')
  const { state: sinceState } = await jmap.call('Identity/get', { ids: [] })
  assert.equal((await jmap.call('Identity/changes', { sinceState })).newState, sinceState)
  await jmap.accounts.put({ address: 'alice@example.org', aliases: [], displayName: 'Alice Ångström' })
  assert.deepEqual([(await identity())?.name, (await identity())?.email], ['Alice Ångström', 'alice@example.org'])
  assert.equal((await jmap.call('Identity/changes', { sinceState })).type, 'cannotCalculateChanges')
})

test('a draft is submitted, and then moved to Sent without its $draft (RFC 8621 §7.5)', async () => {
  const [drafts, sent] = [await jmap.mailbox('drafts'), await jmap.mailbox('sent')]
  const accountId = jmap.alice
  const [identities] = (await jmap.call('Identity/get', { ids: null })).list as Objects
  const draft = {
    mailboxIds: { [drafts]: true },
    keywords: { $draft: true },
    from: [{ email: 'alice@example.org' }],
    to: [{ email: 'bob@example.org' }],
    bcc: [{ email: 'carol@example.net' }],
    subject: 'hi',
    textBody: [{ partId: '1' }],
    bodyValues: { 1: { value: 'hello' } },
  }
  const responses = await jmap.calls(
    ['Email/set', { accountId, create: { d: draft } }, '0'],
    [
      'EmailSubmission/set',
      {
        accountId,
        create: { s: { identityId: identities?.id, emailId: '#d' } },
        onSuccessUpdateEmail: {
          '#s': { 'keywords/$draft': null, [`mailboxIds/${drafts}`]: null, [`mailboxIds/${sent}`]: true },
        },
      },
      '1',
    ],
  )
  assert.deepEqual(
    responses.map(([name, , callId]) => [name, callId]),
    [
      ['Email/set', '0'],
      ['EmailSubmission/set', '1'],
      ['Email/set', '1'],
    ],
  )
  const [submission] = jmap.submissions
  assert.equal(submission?.reversePath, 'alice@example.org')
  assert.deepEqual(
    submission?.recipients.map(({ address }) => address),
    ['bob@example.org', 'carol@example.net'],
  )
  assert.doesNotMatch(submission?.raw.toString() ?? '', /^Bcc/im)
  const created = responses[0]?.[1].created as Record<string, { id: string }>
  const [email] = await jmap.mailstore.emails(accountId, [created.d?.id ?? ''], [])
  assert.deepEqual([email?.keywords, email?.mailboxIds], [[], [sent]])
})

test('EmailSubmission/set says who may not be sent to, and who may not send', async () => {
  const deliver = async (from: string, to: string) =>
    (await jmap.deliver(`From: ${from}\nTo: ${to}\nSubject: x\n\n`)).emailId
  const identityId = 'i1'
  const { notCreated } = (await jmap.call('EmailSubmission/set', {
    create: {
      unknown: { identityId, emailId: await deliver('alice@example.org', 'nobody@example.org') },
      forged: { identityId, emailId: await deliver('bob@example.org', 'bob@example.org') },
      nobody: { identityId, emailId: await deliver('alice@example.org', '') },
      missing: { identityId, emailId: 'e99999' },
    },
  })) as { notCreated: Record<string, Record<string, unknown>> }
  assert.deepEqual(
    [notCreated.unknown?.type, notCreated.unknown?.invalidRecipients],
    ['invalidRecipients', ['nobody@example.org']],
  )
  assert.equal(notCreated.forged?.type, 'forbiddenMailFrom')
  assert.equal(notCreated.nobody?.type, 'noRecipients')
  assert.deepEqual([notCreated.missing?.type, notCreated.missing?.properties], ['invalidProperties', ['emailId']])
})
