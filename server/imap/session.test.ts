/** From the greeting to BYE: login, states, limits, and our own trouble. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Account } from '../accounts/accounts.ts'
import { Unavailable } from '../db/database.ts'
import { PASSWORD, startTestEngine, type TestEngine } from './testing/engine.ts'
import { imapTranscript, logIn, TestClient } from './testing/transcript.ts'

let engine: TestEngine
let account: Account
before(async () => {
  engine = await startTestEngine({ limits: { messageBytes: 1000, imapLineBytes: 2000, imapLiteralBytes: 500 } })
  account = await engine.account()
})
after(() => engine[Symbol.asyncDispose]())

const plain = (password: string) => Buffer.from(`\0${account.address}\0${password}`).toString('base64')
const connect = (changed: Parameters<TestEngine['connect']>[0] = {}) => new TestClient(engine.connect(changed).client)
const withLimits = (limits: object) => {
  const config = engine.deps.config()
  return { config: () => ({ ...config, limits: { ...config.limits, ...limits } }) }
}

test('LOGIN with a wrong password, then the right one', () =>
  connect().play(`
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 ... AUTH=PLAIN] ...
    C: 1 LOGIN ${account.address} wrong
    S: 1 NO [AUTHENTICATIONFAILED] ...
    C: 2 SELECT INBOX
    S: 2 BAD Log in first
    C: 3 LOGIN "${account.address}" "${PASSWORD}"
    S: 3 OK [CAPABILITY ... MOVE ...] Logged in
    C: 4 LOGIN ${account.address} x
    S: 4 BAD Not valid in this state
    C: 5 LOGOUT
    S: * BYE ...
    S: 5 OK ...
    S: (closed)`))

test('LOGIN with literals, synchronizing and not (RFC 7888)', () =>
  connect().play(`
    S: * OK ...
    C: 1 LOGIN {${account.address.length}}
    S: + OK
    C: ${account.address} {${PASSWORD.length}+}
    C: ${PASSWORD}
    S: 1 OK ...`))

test('AUTHENTICATE PLAIN: with initial response, without, cancelled, wrong, for somebody else', () =>
  connect().play(`
    S: * OK ...
    C: 1 AUTHENTICATE PLAIN ${plain('wrong')}
    S: 1 NO [AUTHENTICATIONFAILED] ...
    C: 2 AUTHENTICATE PLAIN
    S: +...
    C: *
    S: 2 BAD ...
    C: 3 AUTHENTICATE PLAIN ${Buffer.from(`boss@example.org\0${account.address}\0${PASSWORD}`).toString('base64')}
    S: 3 BAD ...
    C: 4 AUTHENTICATE CRAM-MD5
    S: 4 NO [CANNOT] ...
    C: 5 AUTHENTICATE PLAIN
    S: +...
    C: ${plain(PASSWORD)}
    S: 5 OK [CAPABILITY ...] Logged in`))

test('too many failed logins end the session', () =>
  connect().play(`
    S: * OK ...
    ${[1, 2, 3, 4, 5].map((n) => `C: ${n} LOGIN a b\nS: ${n} NO [AUTHENTICATIONFAILED] ...`).join('\n')}
    S: * BYE Too many failed logins
    S: (closed)`))

test('an address that failed too often elsewhere is turned away', () =>
  connect({ throttle: { allowed: async () => false, failed: async () => undefined } }).play(`
    S: * OK ...
    C: 1 LOGIN ${account.address} "${PASSWORD}"
    S: 1 NO [UNAVAILABLE] Too many failed logins ...`))

test('unknown commands, bad arguments, STARTTLS, ID, ENABLE', () =>
  imapTranscript(
    engine,
    account,
    `
    C: 1 FROBNICATE
    S: 1 BAD Unknown command
    C: 2 SELECT
    S: 2 BAD Missing argument
    C: 3 NOOP now
    S: 3 BAD ...
    C: 4 STARTTLS
    S: 4 BAD TLS is active already
    C: 5 ID ("name" "test" "version" NIL)
    S: * ID ("name" ...)
    S: 5 OK ...
    C: 6 ENABLE CONDSTORE X-NOTHING IMAP4rev2
    S: * ENABLED CONDSTORE IMAP4rev2
    S: 6 OK ...
    C: 7 EXPUNGE
    S: 7 BAD No mailbox selected
    C: (8 NOOP
    S: * BAD Bad tag
    C: 9 CAPABILITY
    S: * CAPABILITY ... QRESYNC ... APPENDLIMIT=1000
    S: 9 OK ...`,
  ))

test('commands sent together are answered in order', async () => {
  const client = await logIn(engine, account)
  client.write('1 NOOP\r\n2 SELECT INBOX\r\n3 UNSELECT\r\n4 UNSELECT\r\n')
  const tagged: string[] = []
  while (tagged.length < 4) {
    const line = (await client.line()) ?? ''
    if (!line.startsWith('*')) tagged.push(line)
  }
  assert.deepEqual(
    tagged.map((line) => line.slice(0, 5).trim()),
    ['1 OK', '2 OK [', '3 OK', '4 BAD'].map((text) => text.slice(0, 5).trim()),
  )
})

test('a message over the limit: NO [TOOBIG] before it is sent, or after it was thrown away', () =>
  imapTranscript(
    engine,
    account,
    `
    C: 1 APPEND INBOX {1001}
    S: 1 NO [TOOBIG] ...
    C: 2 APPEND INBOX {1001+}
    C: ${'x'.repeat(1001)}
    S: 2 NO [TOOBIG] ...
    C: 4 LIST "" {501}
    S: 4 BAD [LIMIT] ...
    C: 5 NOOP
    S: 5 OK ...`,
  ))

test('a line over the limit, and a literal that nobody would wait for, end the session', async () => {
  await imapTranscript(engine, account, `C: 1 LIST "" ${'x'.repeat(3000)}\nS: * BYE Command line too long\nS: (closed)`)
  await imapTranscript(engine, account, `C: 1 LIST "" {999999999999+}\nS: * BYE Literal too big\nS: (closed)`)
})

test('nonsense before login ends the session: an HTTP client, for instance', () =>
  connect().play(`
    S: * OK ...
    ${Array.from({ length: 10 }, (_, n) => `C: GET /${n} HTTP/1.1\nS: GET BAD ...`).join('\n')}
    S: * BYE Too many bad commands
    S: (closed)`))

test('who does not log in, or says nothing, is disconnected', async () => {
  await connect(withLimits({ imapLoginTimeoutMs: 20 })).play(`
    S: * OK ...
    S: * BYE Login took too long
    S: (closed)`)
  await connect(withLimits({ imapIdleTimeoutMs: 20 })).play(`
    S: * OK ...
    S: * BYE Idle for too long
    S: (closed)`)
})

test('a drain ends an idle session at once, also in IDLE, and a session that never got a login', async () => {
  for (const command of ['', '1 IDLE\r\n']) {
    const { client: stream, session } = engine.connect()
    const client = new TestClient(stream)
    await client.line()
    await client.command('L', `LOGIN ${account.address} "${PASSWORD}"`)
    if (command !== '') {
      client.write(command)
      assert.equal(await client.line(), '+ idling')
    }
    session.close('Server is restarting')
    await client.play('S: * BYE Server is restarting')
    await session.done
  }
})

test('a drain waits for the command that runs', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const mailstore = { ...engine.mailstore, mailboxes: (id: string) => gate.then(() => engine.mailstore.mailboxes(id)) }
  const { client: stream, session } = engine.connect({ mailstore })
  const client = new TestClient(stream)
  await client.line()
  await client.command('L', `LOGIN ${account.address} "${PASSWORD}"`)
  client.write('1 LIST "" INBOX\r\n2 NOOP\r\n')
  setImmediate(() => {
    session.close('Server is restarting')
    open()
  })
  await client.play(`
    S: * LIST (...) "/" "INBOX"
    S: 1 OK ...
    S: * BYE Server is restarting
    S: (closed)`)
})

test('the database away: NO [UNAVAILABLE], and the session goes on', async () => {
  let away = false
  const failing = <T extends (...args: never[]) => Promise<unknown>>(method: T): T =>
    ((...args: Parameters<T>) => (away ? Promise.reject(new Unavailable('down')) : method(...args))) as T
  const { mailstore } = engine
  const wrapped = {
    ...mailstore,
    mailboxByPath: failing(mailstore.mailboxByPath),
    changesSince: failing(mailstore.changesSince),
    changeFlags: failing(mailstore.changeFlags),
  }
  const client = connect({ mailstore: wrapped })
  await client.line()
  await client.command('L', `LOGIN ${account.address} "${PASSWORD}"`)
  await client.command('S', 'SELECT INBOX')
  away = true
  await client.play(`
    C: 1 STATUS INBOX (MESSAGES)
    S: 1 NO [UNAVAILABLE] ...
    C: 2 NOOP
    S: 2 OK ...`)
  away = false
  await client.play(`
    C: 3 STATUS INBOX (MESSAGES)
    S: * STATUS "INBOX" (MESSAGES 0)
    S: 3 OK ...`)
})

test('a bug is NO [SERVERBUG], and tells nothing of its cause', async () => {
  const mailboxes = () => Promise.reject(new TypeError('secret detail'))
  const client = connect({ mailstore: { ...engine.mailstore, mailboxes } })
  await client.line()
  await client.command('L', `LOGIN ${account.address} "${PASSWORD}"`)
  await client.play(`
    C: 1 LIST "" *
    S: 1 NO [SERVERBUG] Internal error
    C: 2 NOOP
    S: 2 OK ...`)
})

test('commands and failures are counted', async () => {
  await imapTranscript(engine, account, 'C: 1 NOOP\nS: 1 OK ...')
  const text = await engine.deps.metrics.metrics()
  assert.match(text, /mail_imap_commands_total\{command="NOOP",result="ok"\} [1-9]/)
  assert.match(text, /mail_imap_commands_total\{command="unknown",result="bad"\} [1-9]/)
  assert.match(text, /mail_imap_auth_failures_total [1-9]/)
  assert.match(text, /mail_imap_command_seconds_count\{command="LOGIN"\} [1-9]/)
})
