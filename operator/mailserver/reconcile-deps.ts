/** The parts that reconciling a MailServer needs; main.ts makes the real ones, tests their own. */

import type { MailServer } from '../api/mail-server.ts'
import type { DkimAlgorithm } from '../api/mail-server-spec.ts'
import type { BucketState } from '../bucket/bucket.ts'
import type { BucketWishes } from '../bucket/client.ts'
import type { Emptied } from '../bucket/emptying.ts'
import type { DkimKeyPair } from '../dkim/keys.ts'
import type { DnsRecord } from '../dns/records.ts'
import type { VerifiedRecord } from '../dns/verify.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { LastWritten } from '../kube/last-written.ts'
import type { KubeLogger } from '../kube/logger.ts'
import type { KubeClient, ObjectKey } from '../kube/types.ts'
import type { AcceptedSpecs } from './accepted-specs.ts'
import type { BackgroundChecks } from './background-checks.ts'
import type { Caches } from './caches.ts'
import type { Claims } from './claims.ts'
import type { DomainIndex } from './domain-index.ts'
import type { UpgradeTurns } from './upgrade-turns.ts'

export interface DnsQuestion {
  records: readonly DnsRecord[]
  resolvers: readonly string[]
}

/** How far the removal of what is outside of the cluster is; times in ms. */
export interface Cleanup {
  uid: string
  begun: number
  /** When something was last removed. */
  gotOn: number
  /** Nothing more is to be done, or can be. */
  over: boolean
  /** The finalizer is dropped. */
  released: boolean
}

export interface ReconcileDeps {
  client: KubeClient
  caches: Pick<Caches, 'server' | 'childrenOf' | 'optional' | 'known' | 'gateways'>
  buckets: Pick<BackgroundChecks<BucketWishes, BucketState>, 'latest' | 'forget'>
  dns: Pick<BackgroundChecks<DnsQuestion, VerifiedRecord[]>, 'latest' | 'forget'>
  domains: Pick<DomainIndex, 'exclusive' | 'taken' | 'hold'>
  upgradeTurns: Pick<UpgradeTurns, 'take' | 'release'>
  claims: Claims
  /** Whether engines of a server were told of an account: then there may be mail, which must not be lost unnoticed. */
  hasAccount: (server: ObjectKey) => boolean
  written: LastWritten<MailServer>
  accepted: AcceptedSpecs
  /**
   * By namespace/name how a bucket that goes with its MailServer was last reached: a namespace that is deleted takes the
   * Secret before anything can be done about the bucket.
   */
  bucketAccess: Map<string, BucketWishes>
  /** Of each server that is being deleted and has something outside of the cluster, by namespace/name. */
  cleanups: Map<string, Cleanup>
  /** One round. Undefined: not now, others are being emptied. */
  emptyBucket: (wishes: BucketWishes, signal: AbortSignal) => Promise<Emptied | undefined>
  events: Pick<EventRecorder, 'record'>
  logger: KubeLogger
  /** Lines of spec.spam.rules that the engine's parser leaves out: "spam.rules[0]:12: why". */
  spamRuleMistakes: (rules: readonly string[]) => readonly string[]
  generateDkimKey: (algorithm: DkimAlgorithm) => Promise<DkimKeyPair>
  /** For MailServers without spec.image, pinned when first used. */
  engineImage: string | undefined
  now: () => Date
}
