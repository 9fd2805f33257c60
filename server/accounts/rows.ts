/** The statements about accounts. */
import type { Queryable, Transaction } from '../db/database.ts'
import { formatId } from '../mailstore/ids.ts'
import { createDefaultMailboxes } from '../mailstore/mailbox-rows.ts'
import { type Account, type AccountSpec, AddressTaken } from './accounts.ts'

/** Payload: the account's number. */
export const ACCOUNT_CHANNEL = 'mail_account'

export interface AccountRow {
  id: string
  address: string
  display_name: string | null
  disabled: boolean
  quota_bytes: string | null
  used_bytes: string
  password_hash: string | null
}

const COLUMNS = 'a.id, a.address, a.display_name, a.disabled, a.quota_bytes, s.used_bytes, a.password_hash'
const TABLES = 'account a join account_state s on s.account_id = a.id'
/** Messages deleted per statement when an account goes. */
const DELETE_BATCH = 2000

export function toAccount(row: AccountRow): Account {
  return {
    id: formatId('a', row.id),
    address: row.address,
    displayName: row.display_name ?? undefined,
    disabled: row.disabled,
    quotaBytes: row.quota_bytes === null ? undefined : Number(row.quota_bytes),
    usedBytes: Number(row.used_bytes),
  }
}

/** By own address or alias. */
export async function readByAddress(db: Queryable, address: string): Promise<AccountRow | undefined> {
  const [row] = await db.query<AccountRow>(
    `select ${COLUMNS} from account_address d join ${TABLES} on a.id = d.account_id where d.address = $1`,
    [address],
  )
  return row
}

export async function hasAnyAccount(db: Queryable): Promise<boolean> {
  const [row] = await db.query<{ found: boolean }>('select exists(select from account) as found')
  return row?.found === true
}

export async function readById(db: Queryable, id: number): Promise<AccountRow | undefined> {
  const [row] = await db.query<AccountRow>(`select ${COLUMNS} from ${TABLES} where a.id = $1`, [id])
  return row
}

export async function readPage(db: Queryable, after: string, limit: number): Promise<AccountRow[]> {
  return db.query<AccountRow>(`select ${COLUMNS} from ${TABLES} where a.address > $1 order by a.address limit $2`, [
    after,
    limit,
  ])
}

export async function hasAlias(db: Queryable, accountId: number, address: string): Promise<boolean> {
  const rows = await db.query('select from account_address where account_id = $1 and address = $2', [
    accountId,
    address,
  ])
  return rows.length > 0
}

/**
 * Creates or updates an account, its addresses and, for a new one, its mailboxes.
 * @param spec addresses normalized; passwordHash undefined keeps the present one
 */
export async function writeAccount(
  tx: Transaction,
  spec: Omit<AccountSpec, 'password'> & { passwordHash: string | undefined },
  now: Date,
): Promise<{ row: AccountRow; created: boolean }> {
  const { address, aliases, passwordHash, displayName, quotaBytes, disabled } = spec
  const [written] = await tx.query<{ id: string; created: boolean }>(
    `insert into account as a (address, display_name, password_hash, disabled, quota_bytes) values ($1, $2, $3, $4, $5)
     on conflict (address) do update set display_name = excluded.display_name, disabled = excluded.disabled,
       quota_bytes = excluded.quota_bytes, password_hash = coalesce(excluded.password_hash, a.password_hash)
     returning id, xmax = 0 as created`,
    [address, displayName ?? null, passwordHash ?? null, disabled ?? false, quotaBytes ?? null],
  )
  if (!written) throw new Error('an upsert returns its row')
  const { id, created } = written
  const addresses = [...new Set([address, ...aliases])].sort()
  await tx.query('delete from account_address where account_id = $1 and address <> all($2::text[])', [id, addresses])
  await tx.query(
    'insert into account_address (address, account_id) select address, $1 from unnest($2::text[]) as address on conflict do nothing',
    [id, addresses],
  )
  const taken = await tx.query<{ address: string }>(
    'select address from account_address where address = any($1::text[]) and account_id <> $2',
    [addresses, id],
  )
  if (taken.length > 0)
    throw new AddressTaken(`belongs to another account: ${taken.map((row) => row.address).join(', ')}`)
  if (created) {
    await tx.query('insert into account_state (account_id) values ($1)', [id])
    await createDefaultMailboxes(tx, id, now)
  }
  await tx.query('select pg_notify($1, $2)', [ACCOUNT_CHANNEL, id])
  const row = await readById(tx, Number(id))
  if (!row) throw new Error('an account that was just written is gone')
  return { row, created }
}

/**
 * Deletes an account with its mail. First nobody can log in or be found by address, then the messages go by the thousand,
 * then the account: interrupted at any point, doing it again finishes it.
 * @returns false when there was none
 */
export async function deleteAccount(
  db: Queryable & { transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> },
  address: string,
): Promise<boolean> {
  const [account] = await db.query<{ id: string }>(
    'update account set disabled = true where address = $1 returning id',
    [address],
  )
  if (!account) return false
  const { id } = account
  await db.query(
    `with gone as (delete from account_address where account_id = $1) select pg_notify('${ACCOUNT_CHANNEL}', $1::text)`,
    [id],
  )
  for (let deleted = DELETE_BATCH; deleted === DELETE_BATCH; ) deleted = await deleteMail(db, id)
  await db.transaction(async (tx) => {
    // A delivery that had found the account before may have come meanwhile, and another may wait for this lock.
    await tx.query('select from account_state where account_id = $1 for update', [id])
    for (let deleted = DELETE_BATCH; deleted === DELETE_BATCH; ) deleted = await deleteMail(tx, id)
    await tx.query('delete from thread_ref where account_id = $1', [id])
    await tx.query('delete from change_log where account_id = $1', [id])
    await tx.query('delete from account where id = $1', [id])
  })
  return true
}

/** @returns how many messages were deleted, at most DELETE_BATCH */
async function deleteMail(db: Queryable, accountId: string): Promise<number> {
  const [row] = await db.query<{ deleted: number }>(
    `with gone as (
       delete from membership where (mailbox_id, uid) in (
         select m.mailbox_id, m.uid from membership m join mailbox b on b.id = m.mailbox_id
          where b.account_id = $1 limit ${DELETE_BATCH})
       returning email_id),
     emails as (delete from email where id in (select email_id from gone) returning blob_id),
     orphans as (insert into blob_orphan (blob_id) select distinct blob_id from emails order by blob_id
                 on conflict (blob_id) do update set since = now())
     select count(*)::int as deleted from gone`,
    [accountId],
  )
  return row?.deleted ?? 0
}
