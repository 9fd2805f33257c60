/** The parts that reconciling a MailServer needs; main.ts makes the real ones, tests their own. */

import type { MailServer } from '../api/mail-server.ts'
import type { DkimAlgorithm } from '../api/mail-server-spec.ts'
import type { BucketState, BucketWishes } from '../bucket/bucket.ts'
import type { DkimKeyPair } from '../dkim/keys.ts'
import type { DnsRecord } from '../dns/records.ts'
import type { VerifiedRecord } from '../dns/verify.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { KubeClient } from '../kube/types.ts'
import type { BackgroundChecks } from './background-checks.ts'
import type { Caches } from './caches.ts'

export interface DnsQuestion {
  records: readonly DnsRecord[]
  resolvers: readonly string[]
}

export interface ReconcileDeps {
  client: KubeClient
  caches: Pick<Caches, 'server' | 'childrenOf' | 'optional' | 'known'>
  buckets: Pick<BackgroundChecks<BucketWishes, BucketState>, 'latest' | 'forget'>
  dns: Pick<BackgroundChecks<DnsQuestion, VerifiedRecord[]>, 'latest' | 'forget'>
  /** Our last status write of each server (by namespace/name), until the cache has it: a stale cache must not tell anything twice. */
  written: Map<string, { basedOn: string | undefined; server: MailServer }>
  emptyBucket: (wishes: BucketWishes, signal: AbortSignal) => Promise<void>
  events: Pick<EventRecorder, 'record'>
  generateDkimKey: (algorithm: DkimAlgorithm) => Promise<DkimKeyPair>
  /** For MailServers without spec.image, pinned when first used. */
  engineImage: string | undefined
  now: () => Date
}
