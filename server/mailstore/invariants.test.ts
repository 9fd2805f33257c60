/**
 * Random changes by every method, from two replicas, against three observers: counters computed from the messages
 * themselves, an IMAP client that follows changesSince, a JMAP client that follows changes.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestStore, type TestStore } from '../../test/mailstore.ts'
import type { Mailbox, Mailstore, ObjectType } from './types.ts'

let store: TestStore
before(async () => {
  store = await startTestStore()
})
after(() => store[Symbol.asyncDispose]())

/** mulberry32: the same choices in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Stored {
  uid: number
  emailId: string
  threadId: string
  sizeBytes: number
  keywords: string[]
  modSeq: number
}

async function dump(mailstore: Mailstore, mailboxes: Mailbox[]): Promise<Map<string, Stored[]>> {
  const all = new Map<string, Stored[]>()
  for (const { id } of mailboxes) {
    const rows: Stored[] = []
    for await (const page of mailstore.fetch(id, undefined, ['threadId', 'sizeBytes'])) rows.push(...page)
    all.set(id, rows)
  }
  return all
}

const unread = ({ keywords }: Stored) => !keywords.includes('$seen') && !keywords.includes('$draft')

function assertCounters(mailboxes: Mailbox[], messages: Map<string, Stored[]>): void {
  const trash = mailboxes.find(({ role }) => role === 'trash')?.id
  const unreadThreads = (inTrash: boolean) =>
    new Set(
      [...messages].flatMap(([id, rows]) =>
        (id === trash) === inTrash ? rows.filter(unread).map((row) => row.threadId) : [],
      ),
    )
  for (const mailbox of mailboxes) {
    const rows = messages.get(mailbox.id) ?? []
    const threads = new Set(rows.map((row) => row.threadId))
    assert.deepEqual(
      {
        path: mailbox.path,
        total: mailbox.totalEmails,
        unread: mailbox.unreadEmails,
        threads: mailbox.totalThreads,
        unreadThreads: mailbox.unreadThreads,
        bytes: mailbox.sizeBytes,
      },
      {
        path: mailbox.path,
        total: rows.length,
        unread: rows.filter(unread).length,
        threads: threads.size,
        unreadThreads: [...threads].filter((id) => unreadThreads(mailbox.id === trash).has(id)).length,
        bytes: rows.reduce((sum, row) => sum + row.sizeBytes, 0),
      },
    )
    assert.ok(rows.every((row) => row.uid < mailbox.uidNext && row.modSeq <= mailbox.highestModSeq))
  }
}

/** Follows one mailbox as QRESYNC does. */
class ImapObserver {
  readonly messages = new Map<number, { modSeq: number; keywords: string[] }>()
  #modSeq = 1

  async follow(mailstore: Mailstore, mailboxId: string): Promise<void> {
    const { changed, vanished, highestModSeq } = await mailstore.changesSince(mailboxId, this.#modSeq)
    assert.ok(vanished)
    for (const uid of vanished) this.messages.delete(uid)
    for (const { uid, modSeq, keywords } of changed) this.messages.set(uid, { modSeq, keywords })
    this.#modSeq = highestModSeq
  }
}

/** Follows one type by /changes, a few at a time. */
class JmapObserver {
  readonly ids = new Set<string>()
  #state = 1
  readonly #type: ObjectType
  constructor(type: ObjectType) {
    this.#type = type
  }

  async follow(mailstore: Mailstore, accountId: string): Promise<void> {
    for (let more = true; more; ) {
      const changes = await mailstore.changes(accountId, this.#type, this.#state, 60)
      assert.ok(changes, 'the log reaches back')
      for (const id of changes.created) this.ids.add(id)
      for (const id of changes.updated) assert.ok(this.ids.has(id), `${this.#type} ${id} was updated but not known`)
      for (const id of changes.destroyed)
        assert.ok(this.ids.delete(id), `${this.#type} ${id} was destroyed but not known`)
      this.#state = changes.newState
      more = changes.hasMoreChanges
    }
  }
}

test('counters and change logs agree with the messages after any sequence of changes', async () => {
  const random = seeded(20261123)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const some = <T>(from: readonly T[], atMost: number): T[] =>
    from.filter(() => random() < atMost / Math.max(from.length, 1))
  const replicas = [store.mailstore, (await store.replica()).mailstore]
  const account = store.alice.id
  const mailboxes = (await store.mailstore.mailboxes(account))
    .slice(0, 4)
    .concat((await store.mailstore.mailboxes(account)).filter(({ role }) => role === 'trash'))
  const emails = new JmapObserver('Email')
  const threads = new JmapObserver('Thread')
  const imap = new Map(mailboxes.map(({ id }) => [id, new ImapObserver()]))
  const keywords = ['$seen', '$flagged', '$draft', '$deleted', 'work']
  let number = 0

  for (let step = 0; step < 160; step++) {
    const mailstore = pick(replicas)
    const { id: mailboxId } = pick(mailboxes)
    const uids = (await mailstore.openMailbox(account, mailboxId)).uids
    const ranges = some(uids, 4).map((uid): [number, number] => [uid, uid])
    const emailIds = some([...emails.ids], 3)
    switch (pick(['ingest', 'ingest', 'flags', 'flags', 'expunge', 'copy', 'move', 'update', 'destroy'])) {
      case 'ingest':
        await mailstore.ingest(
          Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
            accountId: account,
            mailboxes: some(mailboxes, 2)
              .concat(pick(mailboxes))
              .map(({ id }) => ({ id })),
            keywords: some(keywords, 1),
            receivedAt: new Date(1_800_000_000_000 + number * 1000),
            raw: Buffer.from(
              `Message-ID: <${number++}@x>\r\nReferences: <${Math.floor(random() * number)}@x>\r\nSubject: s\r\n\r\n${'x'.repeat(random() * 99)}`,
            ),
          })),
        )
        break
      case 'flags':
        await mailstore.changeFlags(account, mailboxId, ranges, {
          op: pick(['add', 'remove', 'replace']),
          keywords: some(keywords, 2),
        })
        break
      case 'expunge':
        await mailstore.expunge(account, mailboxId, random() < 0.5 ? ranges : undefined)
        break
      case 'copy':
        await mailstore.copy(account, mailboxId, ranges, pick(mailboxes).id)
        break
      case 'move':
        await mailstore.move(account, mailboxId, ranges, pick(mailboxes).id)
        break
      case 'update':
        await mailstore.updateEmails(
          account,
          emailIds.map((id) => ({
            id,
            ...(random() < 0.5 && { keywords: some(keywords, 2) }),
            ...(random() < 0.5 && { mailboxIds: [pick(mailboxes).id, pick(mailboxes).id] }),
          })),
        )
        break
      case 'destroy':
        await mailstore.destroyEmails(account, emailIds.slice(0, 2))
        break
    }
    await emails.follow(mailstore, account)
    if (step % 8 !== 7) continue

    const present = (await mailstore.mailboxes(account)).filter(({ id }) => imap.has(id))
    const messages = await dump(mailstore, present)
    assertCounters(present, messages)
    const rows = [...messages.values()].flat()
    assert.deepEqual([...emails.ids].sort(), [...new Set(rows.map((row) => row.emailId))].sort())
    await threads.follow(mailstore, account)
    assert.deepEqual([...threads.ids].sort(), [...new Set(rows.map((row) => row.threadId))].sort())
    for (const [id, observer] of imap) {
      await observer.follow(mailstore, id)
      const expected = (messages.get(id) ?? []).map(({ uid, modSeq, keywords }) => [uid, { modSeq, keywords }])
      assert.deepEqual(
        [...observer.messages].sort(([a], [b]) => a - b),
        expected,
      )
    }
    const used = (await store.accounts.findById(account))?.usedBytes
    const sizes = new Map(rows.map((row) => [row.emailId, row.sizeBytes]))
    assert.equal(
      used,
      [...sizes.values()].reduce((sum, size) => sum + size, 0),
    )
    assert.equal(
      new Set(rows.map((row) => `${row.emailId} ${row.keywords.join(' ')}`)).size,
      sizes.size,
      'one set of keywords per email',
    )
  }
})
