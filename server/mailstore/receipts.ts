/**
 * Delivery receipts: when a replica dies between the commit and its reply, the client sends the message again, and the
 * receipt tells that it is stored already. A receipt lives from the commit until the client goes on talking (`confirm`).
 */
import { type Database, type Transaction, Unavailable } from '../db/database.ts'
import { OWNER_LOCK_CLASS } from '../db/listener.ts'

/** A confirmation waits this long for a transaction to ride with. */
const CONFIRM_DELAY_MS = 500
/** Beyond this, confirmations are dropped: the receipts then go with their age. */
const MAX_CONFIRMED = 100_000

export interface Receipts extends AsyncDisposable {
  /**
   * Leaves a receipt for each key, in the transaction that stores the messages, and before it locks accounts.
   * @returns keys of acceptances that are repeated: committed before, by one who can no longer have replied
   */
  claim(tx: Transaction, keys: readonly string[]): Promise<Set<string>>
  /** Marks a key as in work until the returned function is called. */
  begin(key: string): () => void
  confirm(key: string): void
}

export function createReceipts(db: Database): Receipts {
  const pending = new Map<string, number>()
  const confirmed = new Set<string>()
  let timer: NodeJS.Timeout | undefined

  /** The rows of confirmed keys go with this transaction. Should it fail, they go with their age. */
  async function removeConfirmed(tx: Transaction | Database): Promise<void> {
    if (confirmed.size === 0) return
    const keys = [...confirmed]
    confirmed.clear()
    await tx.query('delete from delivery_receipt where key = any($1::text[])', [keys])
  }

  async function claim(tx: Transaction, keys: readonly string[]): Promise<Set<string>> {
    const [, rows] = await Promise.all([
      removeConfirmed(tx),
      tx.query<{ key: string }>(
        `insert into delivery_receipt (key, owner) select key, $2 from unnest($1::text[]) as key
         on conflict do nothing returning key`,
        // In one order everywhere: two replicas may be asked to store the same messages.
        [[...new Set(keys)].sort(), db.owner],
      ),
    ])
    const fresh = new Set(rows.map(({ key }) => key))
    const met = keys.filter((key) => !fresh.has(key))
    if (met.length === 0) return new Set()
    const found = await tx.query<{ key: string; owner: number; alive: boolean }>(
      `select key, owner, exists (select from pg_locks where locktype = 'advisory' and classid = $2::int::oid
                and objid = r.owner::oid and objsubid = 2
                and database = (select oid from pg_database where datname = current_database())) as alive
         from delivery_receipt r where key = any($1::text[])`,
      [met, OWNER_LOCK_CLASS],
    )
    const repeated = found.filter(({ key, owner, alive }) =>
      // Our own: whoever else has it in work may still reply. Another's: as long as it lives it may.
      owner === db.owner ? (pending.get(key) ?? 0) <= 1 : !alive,
    )
    if (repeated.length > 0) {
      const ours = repeated.map(({ key }) => key)
      await tx.query('update delivery_receipt set owner = $2 where key = any($1::text[])', [ours, db.owner])
    }
    return new Set(repeated.map(({ key }) => key))
  }

  return {
    claim,
    begin(key) {
      pending.set(key, (pending.get(key) ?? 0) + 1)
      return () => {
        const left = (pending.get(key) ?? 1) - 1
        if (left > 0) pending.set(key, left)
        else pending.delete(key)
      }
    },
    confirm(key) {
      if (confirmed.size >= MAX_CONFIRMED) return
      confirmed.add(key)
      timer ??= setTimeout(() => {
        timer = undefined
        removeConfirmed(db).catch((error) => {
          if (!(error instanceof Unavailable)) throw error
        })
      }, CONFIRM_DELAY_MS).unref()
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      await removeConfirmed(db).catch(() => {}) // the rows go with their age
    },
  }
}
