/** What the store counts. */
import { Counter, Histogram, type Registry } from 'prom-client'

export interface StoreMetrics {
  ingested: Counter
  ingestedBytes: Counter
  repeated: Counter
  batchMessages: Histogram
  batchSeconds: Histogram
}

export function createStoreMetrics(registry: Registry): StoreMetrics {
  const registers = [registry]
  return {
    ingested: new Counter({ name: 'mail_store_messages_total', help: 'Messages stored, one per account', registers }),
    ingestedBytes: new Counter({ name: 'mail_store_bytes_total', help: 'Bytes of the messages stored', registers }),
    repeated: new Counter({
      name: 'mail_store_repeated_deliveries_total',
      help: 'Deliveries recognized as stored before, by a replica that died before its reply',
      registers,
    }),
    batchMessages: new Histogram({
      name: 'mail_store_batch_messages',
      help: 'Messages stored by one transaction',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
      registers,
    }),
    batchSeconds: new Histogram({
      name: 'mail_store_batch_seconds',
      help: 'Duration of one storing transaction, commit included',
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 15],
      registers,
    }),
  }
}
