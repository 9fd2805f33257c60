import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testTls } from './testing/certificate.ts'
import { session } from './testing/client.ts'
import { smtpTranscript, startListener } from './testing/start.ts'
import { SmtpClient } from './testing/transcript.ts'

const HELLO = `
  S: 220 mx.example.org ESMTP
  C: EHLO client.example.net
  S: 250-mx.example.org ...`
const LOGIN = Buffer.from('\0ann@example.org\0secret').toString('base64')

test('submission: STARTTLS, then AUTH, then mail (RFC 6409, RFC 4954)', () =>
  smtpTranscript(
    { role: 'submission', tls: testTls },
    `${HELLO}
  C: AUTH PLAIN ${LOGIN}
  S: 538 5.7.11 Encryption required, use STARTTLS first
  C: MAIL FROM:<ann@example.org>
  S: 530 5.7.0 ...
  C: STARTTLS
  S: 220 2.0.0 Ready to start TLS
  TLS
  C: EHLO client.example.net
  S: 250-mx.example.org ...
  C: MAIL FROM:<ann@example.org>
  S: 530 5.7.0 ...
  C: AUTH PLAIN ${LOGIN}
  S: 235 2.7.0 Authentication successful
  C: MAIL FROM:<bob@example.org>
  S: 553 5.7.1 This address is not yours to send from
  C: MAIL FROM:<ann@example.org> RET=HDRS ENVID=e1
  S: 250 2.1.0 Accepted
  C: RCPT TO:<nobody@example.org>
  S: 550 5.1.1 No such mailbox here
  C: RCPT TO:<joe@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;joe@example.com
  S: 250 2.1.5 Accepted
  C: DATA
  S: 354 ...
  C: Subject: x
  C: .
  S: 250 2.6.0 Accepted, id q1
  C: QUIT
  S: 221 2.0.0 Bye`,
    ({ submitted }) => {
      const [submission] = submitted
      assert.equal(submission?.account.address, 'ann@example.org')
      assert.equal(submission?.client.protocol, 'ESMTPSA')
      assert.equal(submission?.ret, 'hdrs')
      assert.equal(submission?.envelopeId, 'e1')
      assert.deepEqual(submission?.recipients, [
        { address: 'joe@example.com', notify: ['failure', 'delay'], orcpt: 'rfc822;joe@example.com' },
      ])
    },
  ))

test('submission offers AUTH only under TLS', async () => {
  await using started = await startListener({ role: 'submission', tls: testTls })
  const client = await SmtpClient.connect(started.port)
  await client.line()
  assert.doesNotMatch(await client.command('EHLO x'), /AUTH/)
  await client.command('STARTTLS')
  await client.startTls()
  assert.match(await client.command('EHLO x'), /AUTH PLAIN LOGIN/)
  client.destroy()
})

test('an account that is disabled after its login sends no more', async () => {
  await using started = await startListener({ role: 'submission', tls: testTls })
  const client = await session(started)
  await client.command('STARTTLS')
  await client.startTls()
  await client.command('EHLO x')
  assert.match(await client.command(`AUTH PLAIN ${LOGIN}`), /^235/)
  assert.match(await client.command('MAIL FROM:<ann@example.org>'), /^250/)
  await client.command('RSET')
  const account = started.accounts.byAddress.get('ann@example.org')
  assert.ok(account)
  account.disabled = true
  assert.match(await client.command('MAIL FROM:<ann@example.org>'), /^550 5\.7\.1 /)
  client.destroy()
})

test('submissions speaks TLS from the first byte; wrong passwords are 535, too many of them 454', async () => {
  await using started = await startListener({ role: 'submissions', tls: testTls })
  const client = await SmtpClient.connect(started.port)
  await client.startTls()
  assert.match(await client.line(), /^220 /)
  await client.command('EHLO x')
  const wrong = Buffer.from('\0ann@example.org\0wrong').toString('base64')
  for (let i = 0; i < 3; i++)
    assert.equal(await client.command(`AUTH PLAIN ${wrong}`), '535 5.7.8 Authentication credentials invalid')
  assert.match(await client.command(`AUTH PLAIN ${LOGIN}`), /^454 4\.7\.0 /)
  assert.deepEqual(started.failedLogins, ['127.0.0.1', '127.0.0.1', '127.0.0.1'])
  client.destroy()
})
