/** Mailboxes: listing, creating, renaming, deleting. */
import type { Limits } from '../config.ts'
import type { Database, Transaction } from '../db/database.ts'
import { applyMailChange } from './apply.ts'
import { type AccountChange, changeAccount } from './change-log.ts'
import { accountNumber, formatId, parseId } from './ids.ts'
import { lastComponent, lookupPath, normalizePath, parentPath } from './mailbox-names.ts'
import { MAILBOX_COLUMNS, type MailboxRow, readMailboxRows, takeUidValidities, toMailbox } from './mailbox-rows.ts'
import { readMemberships } from './memberships.ts'
import {
  LimitReached,
  type Mailbox,
  MailboxExists,
  MailboxHasChildren,
  MailboxNameInvalid,
  MailboxNotEmpty,
  MailboxNotFound,
  type MailboxRole,
  type Mailstore,
  type Uid,
} from './types.ts'

export interface MailboxesDeps {
  db: Database
  limits: Limits
  now: () => Date
  /** Messages deleted per transaction with their mailbox. */
  deleteBatch?: number
}

type MailboxMethods = Pick<
  Mailstore,
  'mailboxes' | 'mailbox' | 'mailboxByPath' | 'openMailbox' | 'createMailbox' | 'updateMailbox' | 'deleteMailbox'
>

export function createMailboxMethods({ db, limits, now, deleteBatch = 5000 }: MailboxesDeps): MailboxMethods {
  async function readOne(condition: string, values: unknown[]): Promise<Mailbox | undefined> {
    const [row] = await db.query<MailboxRow>(`select ${MAILBOX_COLUMNS} from mailbox b where ${condition}`, values)
    return row && toMailbox(row)
  }

  return {
    async mailboxes(accountId) {
      return (await readMailboxRows(db, accountNumber(accountId))).map(toMailbox)
    },

    async mailbox(accountId, mailboxId) {
      return readOne('b.account_id = $1 and b.id = $2', [accountNumber(accountId), parseId('m', mailboxId) ?? 0])
    },

    async mailboxByPath(accountId, path) {
      return readOne('b.account_id = $1 and b.path = $2', [accountNumber(accountId), lookupPath(path)])
    },

    async openMailbox(accountId, mailboxId) {
      // One statement, one snapshot: the UIDs are exactly those that the counters count.
      const [row] = await db.query<MailboxRow & { uids: string | null }>(
        `select ${MAILBOX_COLUMNS},
                (select string_agg(m.uid::text, ',' order by m.uid) from membership m where m.mailbox_id = b.id) as uids
           from mailbox b where b.account_id = $1 and b.id = $2`,
        [accountNumber(accountId), parseId('m', mailboxId) ?? 0],
      )
      if (!row) throw new MailboxNotFound(`no mailbox ${mailboxId}`)
      const uids: Uid[] = row.uids === null ? [] : row.uids.split(',').map(Number)
      return { mailbox: toMailbox(row), uids }
    },

    async createMailbox(accountId, path, options = {}) {
      const wanted = normalizePath(path, limits.mailboxDepth)
      return writing(accountId, async (tx, change, rows) => {
        if (rows.some((row) => row.path === wanted)) throw new MailboxExists(`${wanted} exists`)
        refuseTakenRole(rows, options.role ?? null, undefined)
        let parent: MailboxRow | undefined
        const components = wanted.split('/')
        for (let depth = 1; depth <= components.length; depth++) {
          const partial = components.slice(0, depth).join('/')
          const existing = rows.find((row) => row.path === partial)
          if (existing) parent = existing
          else parent = await insert(tx, change, rows, partial, parent, depth === components.length ? options : {})
        }
        if (!parent) throw new Error('a path has at least one component')
        return parent
      })
    },

    async updateMailbox(accountId, mailboxId, { path, subscribed, role, sortOrder }) {
      const wanted = path === undefined ? undefined : normalizePath(path, limits.mailboxDepth)
      return writing(accountId, async (tx, change, rows) => {
        const row = rows.find((one) => one.id === String(parseId('m', mailboxId)))
        if (!row) throw new MailboxNotFound(`no mailbox ${mailboxId}`)
        if (role !== undefined) refuseTakenRole(rows, role, row.id)
        if (wanted !== undefined && wanted !== row.path) await rename(tx, change, rows, row, wanted)
        await tx.query('update mailbox set subscribed = $2, role = $3, sort_order = $4 where id = $1', [
          row.id,
          subscribed ?? row.subscribed,
          role === undefined ? row.role : role,
          sortOrder ?? row.sort_order,
        ])
        change.note('m', 'u', Number(row.id))
        return row
      })
    },

    async deleteMailbox(accountId, mailboxId, { removeMessages }) {
      // A large mailbox goes in several transactions, so that none outlasts the statement deadline.
      for (let isGone = false; !isGone; ) isGone = await deleteSome(accountId, mailboxId, removeMessages)
    },
  }

  /** @returns true when the mailbox is gone, false when it still has messages */
  function deleteSome(accountId: string, mailboxId: string, removeMessages: boolean): Promise<boolean> {
    return changeAccount(db, accountId, async (tx, change) => {
      const rows = await readMailboxRows(tx, change.accountId)
      const row = rows.find((one) => one.id === String(parseId('m', mailboxId)))
      if (!row) throw new MailboxNotFound(`no mailbox ${mailboxId}`)
      if (row.role === 'inbox') throw new MailboxNameInvalid('the inbox cannot be deleted')
      if (rows.some((one) => one.parent_id === row.id)) throw new MailboxHasChildren(`${row.path} has children`)
      if (row.total_emails > 0 && !removeMessages) throw new MailboxNotEmpty(`${row.path} is not empty`)
      const removed = await readMemberships(tx, Number(row.id), undefined, { limit: deleteBatch })
      await applyMailChange(tx, change, { removed })
      if (removed.length === deleteBatch) return false
      change.note('m', 'd', Number(row.id))
      await tx.query('delete from mailbox where id = $1', [row.id])
      return true
    })
  }

  /** Runs work under the account's writer lock, writes its change, and reads the mailbox it answers again. */
  async function writing(
    accountId: string,
    work: (tx: Transaction, change: AccountChange, rows: MailboxRow[]) => Promise<MailboxRow>,
  ): Promise<Mailbox> {
    const id = await changeAccount(db, accountId, async (tx, change) => {
      const row = await work(tx, change, await readMailboxRows(tx, change.accountId))
      return row.id
    })
    const mailbox = await readOne('b.id = $1', [id])
    if (!mailbox) throw new MailboxNotFound(`no mailbox ${formatId('m', id)}`)
    return mailbox
  }

  async function insert(
    tx: Transaction,
    change: AccountChange,
    rows: MailboxRow[],
    path: string,
    parent: MailboxRow | undefined,
    options: { role?: MailboxRole | null; subscribed?: boolean; sortOrder?: number },
  ): Promise<MailboxRow> {
    if (rows.length >= limits.mailboxesPerAccount) {
      throw new LimitReached(`an account may have ${limits.mailboxesPerAccount} mailboxes`)
    }
    const [row] = await tx.query<MailboxRow>(
      `insert into mailbox as b (account_id, parent_id, name, path, role, sort_order, subscribed, uid_validity, highest_mod_seq)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${MAILBOX_COLUMNS}`,
      [
        change.accountId,
        parent?.id ?? null,
        lastComponent(path),
        path,
        options.role ?? null,
        options.sortOrder ?? 10,
        options.subscribed ?? true,
        await takeUidValidities(tx, change.accountId, now()),
        change.modSeq,
      ],
    )
    if (!row) throw new Error('an insert returns its row')
    change.note('m', 'c', Number(row.id))
    rows.push(row)
    return row
  }

  /** The mailbox and all below it get new paths; missing parents are created (RFC 9051 §6.3.6). */
  async function rename(tx: Transaction, change: AccountChange, rows: MailboxRow[], row: MailboxRow, path: string) {
    if (rows.some((one) => one.path === path)) throw new MailboxExists(`${path} exists`)
    if (path.startsWith(`${row.path}/`)) throw new MailboxNameInvalid('a mailbox cannot move below itself')
    const depth = Math.max(
      ...rows
        .filter((one) => one.path.startsWith(`${row.path}/`))
        .map((one) => one.path.slice(row.path.length).split('/').length - 1),
      0,
    )
    if (path.split('/').length + depth > limits.mailboxDepth) {
      throw new MailboxNameInvalid(`deeper than ${limits.mailboxDepth} levels`)
    }
    let parent: MailboxRow | undefined
    const above = parentPath(path)?.split('/') ?? []
    for (let length = 1; length <= above.length; length++) {
      const partial = above.slice(0, length).join('/')
      parent = rows.find((one) => one.path === partial) ?? (await insert(tx, change, rows, partial, parent, {}))
    }
    await tx.query(
      `update mailbox set path = $3 || substr(path, length($2) + 1)
        where account_id = $1 and (path = $2 or starts_with(path, $2 || '/'))`,
      [change.accountId, row.path, path],
    )
    await tx.query('update mailbox set name = $2, parent_id = $3 where id = $1', [
      row.id,
      lastComponent(path),
      parent?.id ?? null,
    ])
  }
}

/** A role is held by one mailbox of an account (RFC 8621 §2). */
function refuseTakenRole(rows: readonly MailboxRow[], role: MailboxRole | null, except: string | undefined): void {
  const holder = role === null ? undefined : rows.find((row) => row.role === role && row.id !== except)
  if (holder) throw new MailboxExists(`${holder.path} has the role ${role}`)
}
