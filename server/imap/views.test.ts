/** What sessions are told of each other's changes: notifications, IDLE, CONDSTORE, QRESYNC. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestEngine, type TestEngine } from './testing/engine.ts'
import { deliver, selectedInbox } from './testing/inbox.ts'
import { imapTranscript, logIn, type TestClient } from './testing/transcript.ts'

let engine: TestEngine
before(async () => {
  engine = await startTestEngine()
})
after(() => engine[Symbol.asyncDispose]())

/** Lets the store's notification arrive, without a NOOP that would ask; the test's own timeout bounds it. */
async function untilNews(client: TestClient, pattern: RegExp): Promise<string> {
  for (;;) {
    const lines = await client.command('w', 'STATUS Drafts (MESSAGES)')
    const found = lines.find((line) => pattern.test(line))
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('another session is told of new messages, flags and expunges, but of no EXPUNGE during FETCH', async () => {
  const { account, client } = await selectedInbox(engine, 'a', 'b', 'c')
  const other = await logIn(engine, account)
  await other.command('1', 'SELECT INBOX')
  await deliver(engine, account, 'd')
  assert.equal(await untilNews(other, /EXISTS/), '* 4 EXISTS')
  await client.command('1', 'STORE 1 +FLAGS (\\Answered)')
  assert.equal(await untilNews(other, /FETCH/), '* 1 FETCH (UID 1 FLAGS (\\Answered))')
  await client.command('2', 'STORE 2 +FLAGS.SILENT (\\Deleted)')
  await client.command('3', 'EXPUNGE')
  await other.play(`
    C: 2 FETCH 2:3 UID
    S: * 3 FETCH (UID 3)`)
  let line = await other.line()
  while (line?.startsWith('* 2 FETCH')) line = await other.line() // the \\Deleted before the expunge may be told
  assert.match(line ?? '', /^2 (NO \[EXPUNGEISSUED\]|OK)/)
  const told = await other.command('3', 'NOOP')
  assert.deepEqual(told, ['* 2 EXPUNGE', '3 OK Done'])
})

for (const command of ['STORE 1 +FLAGS.SILENT (\\Seen)', 'FETCH 1 BODY[]']) {
  test(`a flag that another session has set already does not hide what it has set besides: ${command}`, async () => {
    const { account, client } = await selectedInbox(engine, 'a', 'b')
    const { mailstore } = engine
    const held: (() => void)[] = []
    const { promise: heard, resolve } = Promise.withResolvers<void>()
    const subscribe: typeof mailstore.subscribe = (id, listener) =>
      mailstore.subscribe(id, (event) => {
        held.push(() => listener(event))
        resolve()
      })
    const changeFlags: typeof mailstore.changeFlags = async (...change) => {
      await client.command('1', 'STORE 1:2 +FLAGS (\\Seen)')
      return mailstore.changeFlags(...change)
    }
    const slow = { ...engine, connect: () => engine.connect({ mailstore: { ...mailstore, subscribe, changeFlags } }) }
    const other = await logIn(slow, account)
    await other.command('1', 'SELECT INBOX')
    assert.match((await other.command('2', command)).at(-1) ?? '', /^2 OK/)
    await heard
    for (const release of held) release()
    assert.equal(await untilNews(other, /^\* 2 FETCH/), '* 2 FETCH (UID 2 FLAGS (\\Seen))')
  })
}

test('what arrives while the mailbox is being opened is told with it', async () => {
  const account = await engine.account()
  const { mailstore } = engine
  const openMailbox: typeof mailstore.openMailbox = async (...which) => {
    const opened = await mailstore.openMailbox(...which)
    const { promise: notified, resolve } = Promise.withResolvers<void>()
    const stop = mailstore.subscribe(account.id, () => resolve())
    await deliver(engine, account, 'a')
    await notified
    stop()
    return opened
  }
  const slow = { ...engine, connect: () => engine.connect({ mailstore: { ...mailstore, openMailbox } }) }
  const client = await logIn(slow, account)
  const exists = (await client.command('1', 'SELECT INBOX')).filter((line) => line.endsWith('EXISTS'))
  assert.deepEqual(exists, ['* 0 EXISTS', '* 1 EXISTS'])
})

test('IDLE tells at once', async () => {
  const { account, client } = await selectedInbox(engine, 'a')
  await client.play('C: 1 IDLE\nS: + idling')
  await deliver(engine, account, 'b')
  await client.play('S: * 2 EXISTS')
  const mailbox = await engine.mailstore.mailboxByPath(account.id, 'INBOX')
  assert.ok(mailbox)
  await engine.mailstore.changeFlags(account.id, mailbox.id, [[1, 1]], { op: 'add', keywords: ['$seen', '$deleted'] })
  await client.play('S: * 1 FETCH (UID 1 FLAGS (...))')
  await engine.mailstore.expunge(account.id, mailbox.id)
  await client.play('S: * 1 EXPUNGE\nC: DONE\nS: 1 OK ...\nC: 2 IDLE\nS: + idling\nC: nonsense\nS: 2 BAD Expected DONE')
})

test('a mailbox deleted by another session: its messages are gone, the session stays', async () => {
  const { account } = await selectedInbox(engine)
  const client = await logIn(engine, account)
  await client.command('1', 'CREATE Gone')
  await client.play('C: 2 APPEND Gone {1+}\nC: a\nS: 2 OK ...')
  await client.command('3', 'SELECT Gone')
  const other = await logIn(engine, account)
  await other.command('1', 'DELETE Gone')
  await client.play(
    'C: 4 NOOP\nS: * 1 EXPUNGE\nS: 4 OK ...\nC: 5 FETCH 1:* FLAGS\nS: 5 OK ...\nC: 6 UNSELECT\nS: 6 OK ...',
  )
})

test('CONDSTORE: MODSEQ in FETCH, CHANGEDSINCE, and in what is told (RFC 7162 §3.1)', async () => {
  const { account, client } = await selectedInbox(engine, 'a', 'b')
  const mailbox = await engine.mailstore.mailboxByPath(account.id, 'INBOX')
  assert.ok(mailbox)
  const since = mailbox.highestModSeq
  await client.play(`
    C: 1 STORE 2 +FLAGS.SILENT (\\Seen)
    S: 1 OK ...
    C: 2 FETCH 1:* (FLAGS) (CHANGEDSINCE ${since})
    S: * OK [HIGHESTMODSEQ ${since}] ...
    S: * 2 FETCH (MODSEQ (${since + 1}) FLAGS (\\Seen))
    S: 2 OK ...
    C: 3 STORE 1 +FLAGS (\\Seen)
    S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (${since + 2}))
    S: 3 OK ...`)
})

test('QRESYNC: what a client missed, and VANISHED (RFC 7162 §3.2)', async () => {
  const { account, client } = await selectedInbox(engine, 'a', 'b', 'c', 'd')
  const before = await engine.mailstore.mailboxByPath(account.id, 'INBOX')
  assert.ok(before)
  await client.command('1', 'STORE 1 +FLAGS (\\Flagged)')
  await client.command('2', 'STORE 3 +FLAGS (\\Deleted)')
  await client.command('3', 'EXPUNGE')
  const { uidValidity, highestModSeq } = before
  await imapTranscript(
    engine,
    account,
    `
    C: 1 SELECT INBOX (QRESYNC (${uidValidity} ${highestModSeq}))
    S: 1 BAD QRESYNC is not enabled
    C: 2 ENABLE QRESYNC
    S: * ENABLED QRESYNC
    S: 2 OK ...
    C: 3 SELECT INBOX (QRESYNC (${uidValidity} ${highestModSeq} 1:4 (1:2 1:2)))
    S: * FLAGS ...
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS ...
    S: * OK [UIDVALIDITY ${uidValidity}] ...
    S: * OK [UIDNEXT 5] ...
    S: * OK [HIGHESTMODSEQ ...] ...
    S: * OK [MAILBOXID ...] ...
    S: * VANISHED (EARLIER) 3
    S: * 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (...))
    S: 3 OK ...
    C: 4 UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${highestModSeq} VANISHED)
    S: * VANISHED (EARLIER) 3
    S: * 1 FETCH (UID 1 MODSEQ (...) FLAGS (\\Flagged))
    S: 4 OK ...
    C: 5 UID STORE 4 +FLAGS.SILENT (\\Deleted)
    S: * 3 FETCH (UID 4 MODSEQ (...))
    S: 5 OK ...
    C: 6 EXPUNGE
    S: * VANISHED 4
    S: 6 OK [HIGHESTMODSEQ ...] ...`,
  )
})

/** A client that believes what it is told: flags by sequence number, undefined while not told. */
class Believer {
  readonly client: TestClient
  messages: { uid?: number; flags?: string }[] = []
  #count = 0

  constructor(client: TestClient) {
    this.client = client
  }

  async command(text: string): Promise<void> {
    for (const line of await this.client.command(`t${++this.#count}`, text)) this.hear(line)
  }

  hear(line: string): void {
    assert.doesNotMatch(line, / BAD | NO (?!\[EXPUNGEISSUED\])/)
    const [, number, what = ''] = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)/.exec(line) ?? []
    const sequence = Number(number)
    if (what === 'EXISTS') {
      assert.ok(sequence >= this.messages.length, `${line} of ${this.messages.length}`)
      while (this.messages.length < sequence) this.messages.push({})
    } else if (what === 'EXPUNGE') {
      assert.ok(sequence <= this.messages.length, line)
      this.messages.splice(sequence - 1, 1)
    } else if (what === 'FETCH') {
      const message = this.messages[sequence - 1]
      assert.ok(message, line)
      const uid = Number(/UID (\d+)/.exec(line)?.[1])
      assert.ok(message.uid === undefined || message.uid === uid, `${line}, known as UID ${message.uid}`)
      message.uid = uid
      const flags = /FLAGS \(([^)]*)\)/.exec(line)?.[1]
      if (flags !== undefined) message.flags = flags
    }
  }
}

test('sessions that change one mailbox at random: what each was told adds up to what the store holds', async () => {
  const account = await engine.account()
  const mailbox = await engine.mailstore.mailboxByPath(account.id, 'INBOX')
  assert.ok(mailbox)
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % below
  }
  const believers: Believer[] = []
  for (let n = 0; n < 3; n++) {
    const believer = new Believer(await logIn(engine, account))
    await believer.command('SELECT INBOX')
    believers.push(believer)
  }
  const act = async (believer: Believer) => {
    const count = believer.messages.length
    const set = count === 0 ? '1:*' : `${1 + random(count)}:${1 + random(count)}`
    const flag = ['\\Seen', '\\Flagged', 'work'][random(3)]
    switch (random(9)) {
      case 0:
      case 1:
        return believer.command('APPEND INBOX {1+}\r\nx')
      case 2:
        return believer.command(`STORE ${set} +FLAGS (${flag})`)
      case 3:
        return believer.command(`STORE ${set} -FLAGS (${flag})`)
      case 4:
        return believer.command(`UID STORE ${1 + random(60)} +FLAGS (\\Deleted)`)
      case 5:
        return believer.command('EXPUNGE')
      case 6:
        return believer.command(`UID MOVE ${1 + random(60)} Trash`)
      case 7:
        return believer.command(`UID COPY ${1 + random(60)} INBOX`)
      default:
        return believer.command('NOOP')
    }
  }
  for (let round = 0; round < 60; round++) await Promise.all(believers.map(act)) // at the same time
  const wanted: string[] = []
  for await (const batch of engine.mailstore.fetch(mailbox.id, undefined, [])) {
    for (const { uid, keywords } of batch) wanted.push(`${uid} ${keywords.toSorted().join(' ')}`)
  }
  assert.ok(wanted.length > 0)
  for (const believer of believers) {
    await believer.command('NOOP')
    const told = believer.messages.map((message) => ({ ...message }))
    await believer.command('FETCH 1:* (UID FLAGS)')
    for (const [index, { uid, flags }] of told.entries()) {
      const now = believer.messages[index]
      if (uid !== undefined) assert.equal(uid, now?.uid)
      if (flags !== undefined) assert.equal(flags, now?.flags, `flags of UID ${uid}`)
    }
    const keywords = (flags = '') => flags.split(' ').map((flag) => flag.replace('\\', '$').toLowerCase())
    assert.deepEqual(
      believer.messages.map(({ uid, flags }) => `${uid} ${keywords(flags).toSorted().join(' ')}`),
      wanted,
    )
  }
})
