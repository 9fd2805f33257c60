import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OverQuota } from '../mailstore/types.ts'
import { testTls } from './testing/certificate.ts'
import { send, session } from './testing/client.ts'
import { databaseAway, fakeJudge, testConfig } from './testing/fakes.ts'
import { type StartOptions, smtpTranscript, startListener } from './testing/start.ts'
import { SmtpClient } from './testing/transcript.ts'

const HELLO = `
  S: 220 mx.example.org ESMTP
  C: EHLO client.example.net
  S: 250-mx.example.org ...`

test('port 25 announces its extensions, STARTTLS too, and no AUTH', async () => {
  await using started = await startListener({ tls: testTls })
  const client = await SmtpClient.connect(started.port)
  await client.line()
  const lines = (await client.command('EHLO client.example.net')).split('\n').map((line) => line.slice(4))
  assert.deepEqual(lines.sort(), [
    '8BITMIME',
    'ENHANCEDSTATUSCODES',
    'PIPELINING',
    'SIZE 52428800',
    'SMTPUTF8',
    'STARTTLS',
    'mx.example.org greets [127.0.0.1]',
  ])
  client.destroy()
})

test('RCPT before MAIL is refused with 503 (RFC 5321 §3.3)', () =>
  smtpTranscript(
    {},
    `${HELLO}
  C: RCPT TO:<ann@example.org>
  S: 503 5.5.1 ...`,
  ))

test('a message for an account is stored and then acknowledged', () =>
  smtpTranscript(
    {},
    `${HELLO}
  C: MAIL FROM:<joe@example.net> SIZE=100 BODY=8BITMIME
  S: 250 2.1.0 Accepted
  C: RCPT TO:<ann@example.org>
  S: 250 2.1.5 Accepted
  C: DATA
  S: 354 ...
  C: From: joe@example.net
  C: Message-ID: <1@example.net>
  C:${' '}
  C: ..dots
  C: .
  S: 250 2.6.0 Accepted, id ...
  C: QUIT
  S: 221 2.0.0 Bye
  S: (closed)`,
    ({ mailstore }) => {
      const [item] = mailstore.ingested
      assert.equal(item?.accountId, '1')
      assert.deepEqual(item?.mailboxes, [{ role: 'inbox' }])
      const raw = item?.raw.toString() ?? ''
      assert.match(
        raw,
        /^Return-Path: <joe@example\.net>\r\nReceived: from client\.example\.net \(\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.org with ESMTP id [0-9a-f]{16}\r\n\tfor <ann@example\.org>;\r\n\tSun, 01 Mar 2026 12:00:00 \+0000\r\nAuthentication-Results: mx\.example\.org; spf=none\r\nFrom: joe@example\.net\r\n/,
      )
      assert.ok(raw.endsWith('\r\n\r\n.dots\r\n'), raw)
      assert.equal(mailstore.confirmed.length, 1) // QUIT showed that the reply had arrived
      assert.equal(mailstore.confirmed[0], item?.deliveryKey)
    },
  ))

for (const [what, options, recipient, want] of [
  ['an unknown local part', {}, 'nobody@example.org', '550 5.1.1 No such mailbox here'],
  ['a foreign domain', {}, 'x@example.com', '550 5.7.1 Relaying denied, authenticate on the submission port'],
  [
    'a disabled account',
    { mailboxes: [{ address: 'ann@example.org', disabled: true }] },
    'ann@example.org',
    '250 2.1.5 Accepted',
  ],
  [
    'a full mailbox, by SIZE=',
    { mailboxes: [{ address: 'ann@example.org', quotaBytes: 1000, usedBytes: 950 }] },
    'ann@example.org',
    '552 5.2.2 Mailbox is full',
  ],
  [
    'a recipient that is greylisted',
    { judge: fakeJudge({ deferral: { reason: 'greylist', text: 'Greylisted, try again later' } }) },
    'ann@example.org',
    '451 4.7.1 Greylisted, try again later',
  ],
  [
    'an internationalized domain, given as U-label',
    { mailboxes: ['ann@xn--bcher-kva.example.org'] },
    'ann@b\xc3\xbccher.example.org',
    '250 2.1.5 Accepted',
  ],
  ['postmaster without a domain', { mailboxes: ['postmaster@example.org'] }, 'Postmaster', '250 2.1.5 Accepted'],
  ['no address', {}, '', '501 5.1.3 Error: Bad recipient address syntax'],
] satisfies [string, StartOptions, string, string][])
  test(`RCPT to ${what} is answered ${want.slice(0, 9)}`, () =>
    smtpTranscript(
      options,
      `${HELLO}
  C: MAIL FROM:<> SIZE=100
  S: 250 2.1.0 Accepted
  C: RCPT TO:<${recipient}>
  S: ${want}`,
    ))

for (const [what, command, want] of [
  ['VRFY tells nothing', 'VRFY ann', '252 2.5.0 ...'],
  ['an unknown command', 'FROB', '500 5.5.2 ...'],
  ['AUTH on port 25', 'AUTH PLAIN', '500 5.5.2 ...'],
  ['a declared size over the limit', 'MAIL FROM:<a@b.example> SIZE=99999999999', '552 5.3.4 ...'],
  ['an unknown BODY', 'MAIL FROM:<a@b.example> BODY=X', '501 5.5.4 ...'],
  ['an unknown parameter of MAIL', 'MAIL FROM:<a@b.example> FOO=1', '555 5.5.4 Parameter FOO is not supported'],
  ['XCLIENT from anybody', 'XCLIENT ADDR=192.0.2.1', '500 5.5.2 ...'],
  ['smtp-server’s jokes', 'WIZ', '500 5.5.2 ...'],
] as const)
  test(`${what}: ${want.slice(0, 9)}`, () => smtpTranscript({}, `${HELLO}\n  C: ${command}\n  S: ${want}`))

test('too many recipients are refused with 452 4.5.3', () =>
  smtpTranscript(
    {
      mailboxes: ['ann@example.org', 'bob@example.org'],
      config: testConfig({ limits: { recipientsPerMessage: 1 } }),
    },
    `${HELLO}
  C: MAIL FROM:<>
  S: 250 2.1.0 Accepted
  C: RCPT TO:<ann@example.org>
  S: 250 2.1.5 Accepted
  C: RCPT TO:<bob@example.org>
  S: 452 4.5.3 ...`,
  ))

test('a message over the limit is read to its end, refused with 552 5.3.4, and the session goes on', async () => {
  await using started = await startListener({ config: testConfig({ limits: { messageBytes: 1000 } }) })
  const client = await session(started)
  assert.match(await send(client, `Subject: big\r\n\r\n${'x'.repeat(3000)}`), /^552 5\.3\.4 /)
  assert.match(await send(client, 'Subject: small\r\n\r\nx'), /^250 2\.6\.0 /)
  assert.equal(started.mailstore.ingested.length, 1)
  client.destroy()
})

test('a client that sends without end is cut off', async () => {
  await using started = await startListener({ config: testConfig({ limits: { messageBytes: 1000 } }) })
  const client = await session(started)
  await client.command('MAIL FROM:<>')
  await client.command('RCPT TO:<ann@example.org>')
  await client.command('DATA')
  client.send('x'.repeat(5000))
  assert.match(await client.reply(), /^421 4\.7\.0 /)
  await client.closed()
})

for (const [what, failure, want] of [
  ['Postgres away', databaseAway(), /^451 4\.3\.0 Service is temporarily unavailable/],
  ['a bug', new TypeError('x is undefined'), /^451 4\.3\.0 Local error, try again$/],
  ['the mailbox filled up meanwhile', new OverQuota('quota'), /^552 5\.2\.2 Mailbox is full$/],
] as const)
  test(`${what} at the end of DATA: ${want.source.slice(1, 12)}`, async () => {
    await using started = await startListener()
    started.mailstore.failure = failure
    const client = await session(started)
    assert.match(await send(client, 'Subject: x\r\n\r\nx'), want)
    client.destroy()
  })

test('a message that went round too often is refused with 554 5.4.6 (RFC 5321 §6.3)', async () => {
  await using started = await startListener({ config: testConfig({ limits: { receivedHops: 3 } }) })
  const client = await session(started)
  assert.match(await send(client, `${'Received: from a by b; today\r\n'.repeat(4)}\r\nx`), /^554 5\.4\.6 /)
  client.destroy()
})

test('a lone LF around a dot ends no message and no command is smuggled in', async () => {
  await using started = await startListener()
  const client = await session(started)
  const message = 'Subject: x\r\n\r\na\n.\r\nMAIL FROM:<evil@example.net>\r\n.\nRCPT TO:<ann@example.org>\n.\nend'
  assert.match(await send(client, message), /^250 /)
  assert.equal(await client.command('NOOP'), '250 2.0.0 OK')
  assert.equal(started.mailstore.ingested.length, 1)
  const raw = started.mailstore.ingested[0]?.raw.toString() ?? ''
  assert.ok(
    raw.endsWith('a\r\n.\r\nMAIL FROM:<evil@example.net>\r\n.\r\nRCPT TO:<ann@example.org>\r\n.\r\nend\r\n'),
    raw,
  )
  client.destroy()
})

test('NUL and 8-bit bytes arrive unchanged', async () => {
  await using started = await startListener()
  const client = await session(started)
  const body = Buffer.from([0x61, 0, 0xff, 0xe4, 0x0d, 0x62])
  await send(client, Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), body]))
  const raw = started.mailstore.ingested[0]?.raw
  assert.deepEqual(raw?.subarray(-8, -2), body)
  client.destroy()
})

test('fields that only we may write are taken out, others’ Authentication-Results stay', async () => {
  await using started = await startListener()
  const client = await session(started)
  const header = [
    'Return-Path: <forged@example.net>',
    'X-Spam-Flag: NO',
    'x-spam-status: No,',
    ' score=-99',
    'Authentication-Results: (hi) "MX.example.org" 1;',
    '\tdkim=pass header.d=bank.example',
    'Authentication-Results: other.example; spf=pass',
    'Subject: x',
  ].join('\r\n')
  await send(client, `${header}\r\n\r\nAuthentication-Results: mx.example.org; body stays`)
  const raw = started.mailstore.ingested[0]?.raw.toString() ?? ''
  assert.doesNotMatch(raw, /forged|x-spam|bank/i)
  assert.match(
    raw,
    /\r\nAuthentication-Results: other\.example; spf=pass\r\nSubject: x\r\n\r\nAuthentication-Results: mx/,
  )
  client.destroy()
})

test('two recipients with one account get one copy, and Received names none of several', async () => {
  const account = { id: '7' }
  await using started = await startListener({
    mailboxes: [
      { address: 'ann@example.org', ...account },
      { address: 'alias@example.org', ...account },
      'bob@example.org',
    ],
  })
  const client = await session(started)
  await send(client, 'Subject: x\r\n\r\nx', ['ann@example.org', 'alias@example.org', 'bob@example.org'])
  assert.deepEqual(started.mailstore.ingested.map((item) => item.accountId).sort(), ['3', '7'])
  assert.doesNotMatch(started.mailstore.ingested[0]?.raw.toString() ?? '', /\tfor </)
  client.destroy()
})

for (const [action, reply, mailbox] of [
  ['junk', /^250 2\.6\.0/, 'junk'],
  ['reject', /^550 5\.7\.1 Message refused as spam$/, undefined],
] as const)
  test(`a verdict of ${action} is answered ${reply.source.slice(1, 4)}`, async () => {
    const header = 'X-Spam-Flag: YES\r\n'
    await using started = await startListener({ judge: fakeJudge({ verdict: { action, header, score: 20 } }) })
    const client = await session(started)
    assert.match(await send(client, 'Subject: x\r\n\r\nx'), reply)
    const [item] = started.mailstore.ingested
    assert.deepEqual(item?.mailboxes, mailbox && [{ role: mailbox }])
    if (item) assert.match(item.raw.toString(), /\r\nX-Spam-Flag: YES\r\nSubject: x/)
    const blocked = await started.registry.getSingleMetricAsString('stalwart_spam_blocked_total')
    assert.match(blocked, new RegExp(`reason="score"} ${action === 'reject' ? 1 : 0}`))
    client.destroy()
  })

test('with spam.enabled off nothing is judged and nothing said about it', async () => {
  await using started = await startListener({ judge: fakeJudge({ enabled: false, verdict: { action: 'reject' } }) })
  const client = await session(started)
  assert.match(await send(client, 'Subject: x\r\n\r\nx'), /^250/)
  assert.doesNotMatch(started.mailstore.ingested[0]?.raw.toString() ?? '', /Authentication-Results/)
  client.destroy()
})
