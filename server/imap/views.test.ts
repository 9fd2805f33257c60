/** Several sessions change one mailbox at random; what each was told must add up to what the store holds. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestEngine, type TestEngine } from './testing/engine.ts'
import { logIn, type TestClient } from './testing/transcript.ts'

let engine: TestEngine
before(async () => {
  engine = await startTestEngine()
})
after(() => engine[Symbol.asyncDispose]())

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

test('views converge', async () => {
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
