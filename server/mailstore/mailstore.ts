/** The mail store over Postgres and the blobs: puts the parts beside this file together. */
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Blobs } from '../blob/blobs.ts'
import type { Limits } from '../config.ts'
import type { Database } from '../db/database.ts'
import { createChangeMethods } from './changes.ts'
import { createChangingMethods } from './changing.ts'
import { startCleanup } from './cleanup.ts'
import { createEmailIds } from './email-ids.ts'
import { createEmailMethods } from './emails.ts'
import { fetchMessages } from './fetch.ts'
import { createIngest } from './ingest.ts'
import { createMailboxMethods } from './mailboxes.ts'
import { createStoreMetrics } from './metrics.ts'
import { startNotifications } from './notifications.ts'
import { createQuery } from './query.ts'
import { createReceipts } from './receipts.ts'
import { createSearch } from './search.ts'
import type { Mailstore } from './types.ts'
import { createBlobMethods } from './uploads.ts'

export interface MailstoreOptions {
  db: Database
  blobs: Blobs
  limits: Limits
  now: () => Date
  logger: Logger
  metrics: Registry
}

/** Dispose it before the database. */
export function createMailstore(options: MailstoreOptions): Mailstore & AsyncDisposable {
  const { db, blobs, limits, now, logger } = options
  const metrics = createStoreMetrics(options.metrics)
  const receipts = createReceipts(db)
  const emailIds = createEmailIds()
  const notifications = startNotifications(db, logger)
  const cleanup = startCleanup(db, logger)
  return {
    ...createMailboxMethods({ db, limits, now }),
    ...createChangingMethods(db, emailIds),
    ...createEmailMethods(db),
    ...createChangeMethods(db),
    ...createSearch(db, blobs),
    ...createQuery(db, blobs),
    ...createBlobMethods(db, blobs, limits),
    ingest: createIngest({ db, blobs, limits, logger, metrics, receipts, emailIds }),
    confirm: receipts.confirm,
    fetch: (mailboxId, ranges, columns, fetchOptions) => fetchMessages(db, mailboxId, ranges, columns, fetchOptions),
    subscribe: notifications.subscribe,
    async [Symbol.asyncDispose]() {
      notifications.stop()
      await cleanup[Symbol.asyncDispose]()
      await receipts[Symbol.asyncDispose]()
    },
  }
}
