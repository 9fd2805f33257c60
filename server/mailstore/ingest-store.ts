/** Stores a batch of messages in one transaction: a handful of statements, however many messages. */
import type { Transaction } from '../db/database.ts'
import { AccountChange, lockAccounts, writeChanges } from './change-log.ts'
import type { EmailIds } from './email-ids.ts'
import { formatId, parseId } from './ids.ts'
import type { PreparedMessage } from './prepared.ts'
import { countThreads, findThreads, isUnread, type ThreadPresence, threadPresences } from './threads.ts'
import { type Ingested, type IngestItem, MailboxNotFound, OverQuota } from './types.ts'

/** One item of an ingest call, ready to be stored. */
export interface PreparedItem {
  accountId: number
  mailboxes: IngestItem['mailboxes']
  keywords: string[]
  receivedAt: number
  message: PreparedMessage
}

/** Items that are stored together or not at all. */
export interface IngestCall {
  items: PreparedItem[]
  enforceQuota: boolean
}

interface MailboxRow {
  id: number
  accountId: number
  role: string | null
  uidValidity: number
  uidNext: number
}

interface Placed {
  item: PreparedItem
  emailId: number
  threadId: number
  memberships: { mailbox: MailboxRow; uid: number }[]
}

/** @returns per call what was stored, or the error that is its own; the calls with an error leave no trace */
export async function storeBatch(
  tx: Transaction,
  calls: readonly IngestCall[],
  ids: EmailIds,
): Promise<(Ingested[] | Error)[]> {
  const items = calls.flatMap((call) => call.items)
  const refs = items.flatMap(({ accountId, message }) => message.threadRefs.map((ref) => ({ accountId, ref })))
  // Sent together, run one after the other: what comes after the lock sees what its last holder committed.
  const [accounts, mailboxes, threads, takeId] = await Promise.all([
    lockAccounts(tx, [...new Set(items.map((item) => item.accountId))]),
    readMailboxes(tx, items),
    findThreads(tx, refs),
    ids.reserve(tx, items.length),
  ])

  const changes = new Map<number, AccountChange>()
  const changeOf = (accountId: number, modSeq: number) => {
    const change = changes.get(accountId) ?? new AccountChange(accountId, modSeq + 1)
    changes.set(accountId, change)
    return change
  }
  const added = new Map<number, number>()
  const results: (Placed[] | Error)[] = calls.map((call) => {
    const refused = refuse(call, accounts, added, mailboxes)
    if (refused) return refused
    return call.items.map((item) => {
      added.set(item.accountId, (added.get(item.accountId) ?? 0) + item.message.sizeBytes)
      return place(item, mailboxes, threads, takeId())
    })
  })
  const placed = results.flatMap((result) => (result instanceof Error ? [] : result))
  if (placed.length > 0) {
    const newThreads = new Set(placed.map((one) => one.emailId))
    const oldThreads = new Set(placed.map((one) => one.threadId).filter((id) => !newThreads.has(id)))
    const before = await threadPresences(tx, [...oldThreads])
    for (const one of placed) {
      const account = accounts.get(one.item.accountId)
      if (account) noteCreated(changeOf(one.item.accountId, account.modSeq), one, before)
    }
    noteThreads(changes, placed, before)
    await Promise.all([
      insertBlobs(tx, placed),
      insertRows(tx, placed, changes),
      writeChanges(tx, [...changes.values()]),
    ])
  }
  return results.map((result) =>
    result instanceof Error ? result : result.map((one) => ingested(one, changes.get(one.item.accountId)?.modSeq ?? 0)),
  )
}

async function readMailboxes(tx: Transaction, items: readonly PreparedItem[]): Promise<MailboxRow[]> {
  const ids: number[] = []
  const roles = new Set<string>(['inbox'])
  for (const target of items.flatMap((item) => item.mailboxes)) {
    if ('role' in target) roles.add(target.role)
    else ids.push(parseId('m', target.id) ?? 0)
  }
  const rows = await tx.query<{
    id: string
    account_id: string
    role: string | null
    uid_validity: string
    uid_next: string
  }>(
    `select id, account_id, role, uid_validity, uid_next from mailbox
      where account_id = any($1::bigint[]) and (role = any($2::text[]) or id = any($3::bigint[]))`,
    [[...new Set(items.map((item) => item.accountId))], [...roles], ids],
  )
  return rows.map((row) => ({
    id: Number(row.id),
    accountId: Number(row.account_id),
    role: row.role,
    uidValidity: Number(row.uid_validity),
    uidNext: Number(row.uid_next),
  }))
}

/** Where an item goes: each mailbox once. A role that the account has no mailbox for is its inbox. */
function targetsOf(item: PreparedItem, mailboxes: readonly MailboxRow[]): (MailboxRow | undefined)[] {
  const own = mailboxes.filter((mailbox) => mailbox.accountId === item.accountId)
  const inbox = own.find(({ role }) => role === 'inbox')
  const targets = item.mailboxes.map((target) =>
    'role' in target
      ? (own.find(({ role }) => role === target.role) ?? inbox)
      : own.find(({ id }) => id === parseId('m', target.id)),
  )
  return [...new Set(targets)]
}

function refuse(
  call: IngestCall,
  accounts: Awaited<ReturnType<typeof lockAccounts>>,
  added: ReadonlyMap<number, number>,
  mailboxes: readonly MailboxRow[],
): Error | undefined {
  const wanted = new Map<number, number>()
  for (const item of call.items) {
    const account = accounts.get(item.accountId)
    const targets = targetsOf(item, mailboxes)
    if (!account || targets.length === 0 || targets.includes(undefined)) {
      return new MailboxNotFound(`no such mailbox in account ${formatId('a', item.accountId)}`)
    }
    const more = (wanted.get(item.accountId) ?? 0) + item.message.sizeBytes
    wanted.set(item.accountId, more)
    const used = account.usedBytes + (added.get(item.accountId) ?? 0) + more
    if (call.enforceQuota && account.quotaBytes !== undefined && used > account.quotaBytes) {
      return new OverQuota(`account ${formatId('a', item.accountId)} is over its quota`)
    }
  }
  return undefined
}

/** Gives an email its id, thread and UIDs. */
function place(
  item: PreparedItem,
  mailboxes: readonly MailboxRow[],
  threads: Map<string, number>,
  emailId: number,
): Placed {
  const keys = item.message.threadRefs.map((ref) => `${item.accountId}:${ref}`)
  const found = keys.map((key) => threads.get(key)).filter((id) => id !== undefined)
  // A message may tie two threads together; they stay apart, and it joins the older one.
  const threadId = found.length > 0 ? Math.min(...found) : emailId
  for (const key of keys) if (!threads.has(key)) threads.set(key, threadId)
  const targets = targetsOf(item, mailboxes).filter((mailbox) => mailbox !== undefined)
  return { item, emailId, threadId, memberships: targets.map((mailbox) => ({ mailbox, uid: mailbox.uidNext++ })) }
}

function noteCreated(
  change: AccountChange,
  { item, emailId, threadId, memberships }: Placed,
  old: readonly ThreadPresence[],
) {
  const { sizeBytes } = item.message
  change.usedBytes += sizeBytes
  change.note('e', 'c', emailId)
  change.note('t', old.some((row) => row.threadId === threadId) ? 'u' : 'c', threadId)
  const unread = isUnread(item.keywords) ? 1 : 0
  for (const { mailbox, uid } of memberships) {
    change.changed(mailbox.id, uid)
    change.count(mailbox.id, { total: 1, unread, bytes: sizeBytes, uids: 1 })
  }
}

function noteThreads(
  changes: Map<number, AccountChange>,
  placed: readonly Placed[],
  before: readonly ThreadPresence[],
) {
  const added = Map.groupBy(placed, (one) => one.item.accountId)
  for (const [accountId, change] of changes) {
    const own = added.get(accountId) ?? []
    const threads = new Set(own.map((one) => one.threadId))
    const oldRows = before.filter((row) => threads.has(row.threadId))
    const newRows = own.flatMap((one) =>
      one.memberships.map(({ mailbox }) => ({
        threadId: one.threadId,
        mailboxId: mailbox.id,
        trash: mailbox.role === 'trash',
        unread: isUnread(one.item.keywords),
      })),
    )
    countThreads(change, oldRows, [...oldRows, ...newRows])
  }
}

/** Bytes of all new messages go as one binary parameter, cut apart by the server: no text encoding of 10-kB values. */
async function insertBlobs(tx: Transaction, placed: readonly Placed[]): Promise<void> {
  // In one order everywhere, because two replicas may store the same bytes at once.
  const messages = [...new Map(placed.map(({ item }) => [item.message.blobId, item.message])).values()]
    .filter((message) => message.inline)
    .sort((a, b) => (a.blobId < b.blobId ? -1 : 1))
  if (messages.length === 0) return
  let offset = 1
  const offsets = messages.map(({ sizeBytes }) => {
    const start = offset
    offset += sizeBytes
    return start
  })
  await tx.query(
    `insert into blob (id, size_bytes, bytes)
     select decode(b.id, 'hex'), b.size, substring($4::bytea from b.start for b.size)
       from unnest($1::text[], $2::int[], $3::int[]) as b (id, start, size)
     on conflict (id) do update set touched_at = now(), stored = true, bytes = coalesce(blob.bytes, excluded.bytes)`,
    [
      messages.map(({ blobId }) => blobId),
      offsets,
      messages.map(({ sizeBytes }) => sizeBytes),
      messages.length === 1 ? messages[0]?.raw : Buffer.concat(messages.map(({ raw }) => raw)),
    ],
  )
}

async function insertRows(
  tx: Transaction,
  placed: readonly Placed[],
  changes: Map<number, AccountChange>,
): Promise<void> {
  const of = <T>(column: (one: Placed) => T): T[] => placed.map(column)
  const message = <K extends keyof PreparedMessage>(key: K) => placed.map(({ item }) => item.message[key])
  const search = (key: keyof PreparedMessage['search']) => placed.map(({ item }) => item.message.search[key])
  const members = placed.flatMap((one) => one.memberships.map((membership) => ({ one, ...membership })))
  const refs = placed.flatMap((one) => one.item.message.threadRefs.map((ref) => ({ one, ref })))
  await tx.query(
    `with emails as (
       insert into email (id, account_id, thread_id, blob_id, size_bytes, received_at, sent_at, has_attachment, envelope,
                          structure, headers, preview, search_subject, search_from, search_to, search_cc, search_bcc,
                          sent_day)
       select id, account_id, thread_id, decode(blob_id, 'hex'), size, received, sent, attachment, envelope, structure,
              headers, preview, subject, "from", "to", cc, bcc, sent_day
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::int[], $6::bigint[], $7::bigint[],
                     $8::boolean[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
                     $15::text[], $16::text[], $17::text[], $29::int[])
              as e (id, account_id, thread_id, blob_id, size, received, sent, attachment, envelope, structure, headers,
                    preview, subject, "from", "to", cc, bcc, sent_day)
     ), memberships as (
       insert into membership (mailbox_id, uid, email_id, thread_id, received_at, size_bytes, mod_seq, keywords)
       select mailbox_id, uid, email_id, thread_id, received, size, mod_seq, string_to_array(keywords, ' ')
         from unnest($18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::int[], $24::bigint[],
                     $25::text[])
              as m (mailbox_id, uid, email_id, thread_id, received, size, mod_seq, keywords)
     )
     insert into thread_ref (account_id, ref, thread_id)
     select * from unnest($26::bigint[], $27::bigint[], $28::bigint[])
     on conflict do nothing`,
    [
      of((one) => one.emailId),
      of((one) => one.item.accountId),
      of((one) => one.threadId),
      message('blobId'),
      message('sizeBytes'),
      of((one) => one.item.receivedAt),
      message('sentAt'),
      message('hasAttachment'),
      message('envelope'),
      message('structure'),
      message('headers'),
      message('preview'),
      search('subject'),
      search('from'),
      search('to'),
      search('cc'),
      search('bcc'),
      members.map(({ mailbox }) => mailbox.id),
      members.map(({ uid }) => uid),
      members.map(({ one }) => one.emailId),
      members.map(({ one }) => one.threadId),
      members.map(({ one }) => one.item.receivedAt),
      members.map(({ one }) => one.item.message.sizeBytes),
      members.map(({ one }) => changes.get(one.item.accountId)?.modSeq ?? 0),
      members.map(({ one }) => one.item.keywords.join(' ')),
      refs.map(({ one }) => one.item.accountId),
      refs.map(({ ref }) => ref),
      refs.map(({ one }) => one.threadId),
      message('sentDay'),
    ],
  )
}

function ingested({ item, emailId, threadId, memberships }: Placed, modSeq: number): Ingested {
  return {
    emailId: formatId('e', emailId),
    threadId: formatId('t', threadId),
    blobId: item.message.blobId,
    sizeBytes: item.message.sizeBytes,
    modSeq,
    memberships: memberships.map(({ mailbox, uid }) => ({
      mailboxId: formatId('m', mailbox.id),
      uid,
      uidValidity: mailbox.uidValidity,
    })),
  }
}
