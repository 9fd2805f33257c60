import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testTls } from './testing/certificate.ts'
import { send, session } from './testing/client.ts'
import { testConfig } from './testing/fakes.ts'
import { smtpTranscript, startListener } from './testing/start.ts'
import { SmtpClient } from './testing/transcript.ts'

test('a delivery is confirmed by the next command, not by a lost connection', async () => {
  await using started = await startListener()
  const lost = await session(started)
  await send(lost, 'Message-ID: <1@x>\r\n\r\nx')
  lost.destroy()
  const goingOn = await session(started)
  await send(goingOn, 'Message-ID: <2@x>\r\n\r\nx')
  await goingOn.command('NOOP')
  const [first, second] = started.mailstore.ingested
  assert.notEqual(first?.deliveryKey, second?.deliveryKey)
  assert.deepEqual(started.mailstore.confirmed, [second?.deliveryKey])
  goingOn.destroy()
})

test('what a client pipelined behind its message confirms nothing', async () => {
  await using started = await startListener()
  const gate = Promise.withResolvers<void>()
  started.mailstore.gate = gate.promise
  const client = await session(started)
  await client.command('MAIL FROM:<>')
  await client.command('RCPT TO:<ann@example.org>')
  await client.command('DATA')
  client.send('Message-ID: <1@x>\r\n\r\nx\r\n.\r\nNOOP\r\n')
  gate.resolve()
  assert.match(await client.reply(), /^250 2\.6\.0/)
  assert.match(await client.reply(), /^250 2\.0\.0/)
  assert.deepEqual(started.mailstore.confirmed, [])
  await client.command('NOOP')
  assert.equal(started.mailstore.confirmed.length, 1)
  client.destroy()
})

test('a message without Message-ID has no delivery key: the same bytes may be two messages', async () => {
  await using started = await startListener()
  const client = await session(started)
  await send(client, 'Subject: x\r\n\r\nx')
  assert.equal(started.mailstore.ingested[0]?.deliveryKey, undefined)
  client.destroy()
})

test('confirmation works under TLS too', async () => {
  await using started = await startListener({ tls: testTls })
  const client = await session(started)
  await client.command('STARTTLS')
  await client.startTls()
  await client.command('EHLO x')
  await send(client, 'Message-ID: <1@x>\r\n\r\nx')
  assert.equal(started.mailstore.confirmed.length, 0)
  await client.command('NOOP')
  assert.equal(started.mailstore.confirmed.length, 1)
  assert.match(
    started.mailstore.ingested[0]?.raw.toString() ?? '',
    /with ESMTPS id \w+\r\n\t\(version=TLSv1\.3 cipher=/,
  )
  client.destroy()
})

test('STARTTLS appears once there is a certificate, without a restart', async () => {
  await using started = await startListener()
  const client = await session(started)
  assert.match(await client.command('STARTTLS'), /^500/)
  started.listener.updateTls(testTls)
  assert.match(await client.command('EHLO x'), /STARTTLS/)
  assert.match(await client.command('STARTTLS'), /^220/)
  await client.startTls()
  assert.match(await client.command('EHLO x'), /^250/)
  client.destroy()
})

test('one session too many of an address is told 421 4.7.0', async () => {
  await using started = await startListener({ config: testConfig({ limits: { sessionsPerAddress: 1 } }) })
  const first = await session(started)
  const second = await SmtpClient.connect(started.port)
  assert.match(await second.reply(), /^421 4\.7\.0 Too many sessions/)
  await second.closed()
  await first.command('QUIT')
  await first.closed()
  while (started.listener.connections() > 0) await new Promise(setImmediate) // the server's end closes a moment later
  const third = await session(started)
  third.destroy()
})

for (const [what, header, address] of [
  ['version 1', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n'), '192.0.2.7'],
  [
    'version 2',
    Buffer.concat([
      Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
      Buffer.from([0x21, 0x11, 0, 12, 192, 0, 2, 8, 192, 0, 2, 1, 0x0f, 0xa0, 0, 25]),
    ]),
    '192.0.2.8',
  ],
] as const)
  test(`the client’s address comes from a trusted PROXY header, ${what}`, async () => {
    const config = testConfig({ proxyProtocol: { trustedNetworks: ['127.0.0.0/8'] } })
    await using started = await startListener({ config })
    const client = await SmtpClient.connect(started.port)
    client.send(header)
    await client.line()
    await client.command('EHLO x')
    await send(client, 'Subject: x\r\n\r\nx')
    assert.ok(started.mailstore.ingested[0]?.raw.includes(`([${address}])`))
    client.destroy()
  })

test('a PROXY header of anybody else is no such thing', () =>
  smtpTranscript(
    {},
    `
  S: 220 mx.example.org ESMTP
  C: PROXY TCP4 192.0.2.7 192.0.2.1 4000 25
  S: 500 5.5.2 ...`,
  ))

test('draining: idle sessions hear 421 4.3.2, a transaction is finished first', async () => {
  await using started = await startListener()
  const idle = await session(started)
  const busy = await session(started)
  await busy.command('MAIL FROM:<>')
  const drained = started.listener.drain(60_000)
  assert.match(await idle.reply(), /^421 4\.3\.2 /)
  await idle.closed()
  assert.match(await busy.command('RCPT TO:<ann@example.org>'), /^250/)
  assert.match(await busy.command('DATA'), /^354/)
  busy.send('Subject: x\r\n\r\nx\r\n.\r\n')
  assert.match(await busy.reply(), /^250 2\.6\.0/)
  assert.match(await busy.reply(), /^421 4\.3\.2 /)
  await busy.closed()
  await drained
  assert.equal(started.mailstore.ingested.length, 1)
  assert.equal(started.listener.connections(), 0)
})

test('metrics exist with zero from the start', async () => {
  await using started = await startListener()
  const text = await started.registry.metrics()
  assert.match(text, /stalwart_messages_received_total\{listener="mx",action="accept"\} 0/)
  assert.match(text, /stalwart_spam_blocked_total\{reason="greylist"\} 0/)
})

test('garbage, endless lines and half-open handshakes end their own session only', async () => {
  await using plain = await startListener({ tls: testTls })
  await using tls = await startListener({ role: 'submissions', tls: testTls })
  const attacks: [number, (string | Buffer)[]][] = [
    [plain.port, [Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7919) % 256))]],
    [plain.port, ['EHLO ', 'x'.repeat(100_000)]],
    [plain.port, ['EHLO x\r\nMAIL FROM:<', '@'.repeat(3000), '>\r\nRCPT TO:<<<<>>>>\r\nDATA\r\n.\r\n']],
    [plain.port, ['EHLO x\r\nSTARTTLS\r\n', 'MAIL FROM:<smuggled@example.net>\r\n', Buffer.alloc(500, 0xff)]],
    [plain.port, ['GET / HTTP/1.1\r\nHost: x\r\n\r\n']],
    [plain.port, ['\r\n'.repeat(2000)]],
    [tls.port, ['EHLO x\r\n']],
    [tls.port, [Buffer.from([0x16, 3, 1, 0xff, 0xff, 1]), Buffer.alloc(300)]],
  ]
  for (const [port, pieces] of attacks) {
    const attacker = await SmtpClient.connect(port)
    if (port === plain.port) await attacker.line()
    for (const piece of pieces) attacker.send(piece)
    await new Promise((resolve) => setTimeout(resolve, 20))
    attacker.destroy()
  }
  const client = await session(plain)
  assert.match(await send(client, 'Subject: x\r\n\r\nx'), /^250/)
  const secure = await SmtpClient.connect(tls.port)
  await secure.startTls()
  assert.match(await secure.line(), /^220/)
  assert.equal(plain.mailstore.ingested.length, 1)
  client.destroy()
  secure.destroy()
})
