/** The blobs that the configuration asks for, and their collector. */
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { StorageConfig } from '../config.ts'
import type { Database } from '../db/database.ts'
import type { Blobs } from './blobs.ts'
import { type BlobRemover, startBlobGc } from './gc.ts'
import { createPostgresBlobs } from './postgres.ts'
import { createS3Blobs } from './s3.ts'

export interface OpenBlobsOptions {
  db: Database
  storage: StorageConfig
  /** What paths in `storage` are relative to. */
  rootDirectory: string
  logger: Logger
  metrics?: Registry
}

/** Nothing is asked of the bucket yet: see Blobs.check. Dispose it before the database. */
export function openBlobs({ db, storage, rootDirectory, logger, metrics }: OpenBlobsOptions): Blobs & AsyncDisposable {
  const resources = new AsyncDisposableStack()
  const { blobs, remover } = driver()
  resources.use(startBlobGc({ db, remover, logger, ...(metrics && { metrics }) }))
  return Object.assign(blobs, { [Symbol.asyncDispose]: () => resources.disposeAsync() })

  function driver(): { blobs: Blobs; remover: BlobRemover } {
    if (storage.driver === 'postgres') return { blobs: createPostgresBlobs(db), remover: { async remove() {} } }
    const s3 = resources.use(createS3Blobs(db, storage, rootDirectory))
    return { blobs: s3, remover: s3 }
  }
}
