/** One LISTEN channel for the whole store; events are handed to whoever subscribed to their account. */
import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import { NOTIFY_CHANNEL } from './change-log.ts'
import { formatId } from './ids.ts'
import type { StoreEvent } from './types.ts'

export interface Notifications {
  subscribe(accountId: string, listener: (event: StoreEvent) => void): () => void
  stop(): void
}

export function startNotifications(db: Database, logger: Logger): Notifications {
  const listeners = new Map<string, Set<(event: StoreEvent) => void>>()

  function tell(event: StoreEvent): void {
    for (const listener of [...(listeners.get(event.accountId) ?? [])]) {
      try {
        listener(event)
      } catch (err) {
        logger.error({ err, accountId: event.accountId }, 'a listener to mail changes failed')
      }
    }
  }

  const stop = db.listen(
    NOTIFY_CHANNEL,
    (payload) => {
      for (const event of parseNotification(payload)) tell(event)
    },
    // Notifications were lost: everybody looks at the change log.
    () => {
      for (const accountId of [...listeners.keys()]) tell({ accountId, modSeq: 0, mailboxIds: [] })
    },
  )
  return {
    stop,
    subscribe(accountId, listener) {
      const set = listeners.get(accountId) ?? new Set()
      listeners.set(accountId, set.add(listener))
      return () => {
        set.delete(listener)
        if (set.size === 0 && listeners.get(accountId) === set) listeners.delete(accountId)
      }
    },
  }
}

/** Reads what change-log.ts sent: `account:modseq:mailbox,mailbox;...` */
export function parseNotification(payload: string): StoreEvent[] {
  return payload.split(';').flatMap((entry) => {
    const [account, modSeq, mailboxes] = entry.split(':')
    if (!account || modSeq === undefined) return []
    return [
      {
        accountId: formatId('a', account),
        modSeq: Number(modSeq),
        mailboxIds: mailboxes ? mailboxes.split(',').map((id) => formatId('m', id)) : [],
      },
    ]
  })
}
