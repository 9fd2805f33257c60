/** The MailServer controller: caches, background checks and the loop, put together. */

import { compileRules, readBuiltInRules } from '../../server/spam/rule-set.ts'
import { type BucketState, ensureBucket } from '../bucket/bucket.ts'
import type { BucketWishes } from '../bucket/client.ts'
import type { Emptied } from '../bucket/emptying.ts'
import { confirmAuthoritative } from '../dns/authoritative.ts'
import type { DnsRecord } from '../dns/records.ts'
import { createResolver, type VerifiedRecord, verifyRecords } from '../dns/verify.ts'
import { type Controller, createController, type Source, sourceOf } from '../kube/controller.ts'
import type { Fence } from '../kube/fence.ts'
import { createLastWritten } from '../kube/last-written.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import { createAcceptedSpecs } from './accepted-specs.ts'
import { type BackgroundChecks, createBackgroundChecks } from './background-checks.ts'
import type { Caches } from './caches.ts'
import { createDomainIndex } from './domain-index.ts'
import { reconcileMailServer } from './reconcile.ts'
import type { DnsQuestion, ReconcileDeps } from './reconcile-deps.ts'
import { createUpgradeTurns, type UpgradeTurns } from './upgrade-turns.ts'

export interface MailServerControllerDeps
  extends Omit<
    ReconcileDeps,
    | 'buckets'
    | 'dns'
    | 'caches'
    | 'written'
    | 'accepted'
    | 'bucketAccess'
    | 'cleanups'
    | 'domains'
    | 'upgradeTurns'
    | 'emptyBucket'
    | 'spamRuleMistakes'
  > {
  caches: Caches
  emptyBucket: (wishes: BucketWishes, signal: AbortSignal) => Promise<Emptied>
  /** MailServers whose engines may be upgraded at once. */
  maxConcurrentUpgrades: number
  /** A MailServer that asks for a domain of another one is not carried out. */
  exclusiveDomains: boolean
  /** Beside what the caches tell: those whose accounts have become such that they must be looked at. */
  sources: readonly Source[]
  metrics?: KubeMetrics
  /** Asked before every act outside of the Kubernetes API. */
  fence: Fence
  /** The checks of the outside world; tests play it. */
  ensureBucket?: typeof ensureBucket
  verifyDns?: (question: DnsQuestion, signal: AbortSignal) => Promise<VerifiedRecord[]>
}

const MINUTE_MS = 60_000
const WORKERS = 4

export interface MailServerController extends Controller {
  /** MailServers whose engines are being upgraded, and that wait for their turn. */
  upgrades: UpgradeTurns['size']
}

export function createMailServerController(deps: MailServerControllerDeps): MailServerController {
  const { logger, metrics } = deps
  const kubeDeps = { logger, ...(metrics ? { metrics } : {}) }
  const onNews = (key: { namespace: string; name: string }) => controller.queue.add(key)

  const buckets: BackgroundChecks<BucketWishes, BucketState> = createBackgroundChecks({
    run: fenced(deps.fence, deps.ensureBucket ?? ensureBucket),
    freshMs: ({ ok }, unchanged) => (ok ? 10 * MINUTE_MS : Math.min(10_000 * 2 ** unchanged, 2 * MINUTE_MS)),
    onNews,
    logger,
  })
  const dns: BackgroundChecks<DnsQuestion, VerifiedRecord[]> = createBackgroundChecks({
    run: deps.verifyDns ?? lookUp,
    freshMs: lookUpAgainMs,
    // Nothing waits for it, and a new leader hears it of every server.
    onNews: (key) => controller.queue.add(key, 'normal'),
    logger,
  })

  const emptyBucket = atMost(WORKERS / 2, fenced(deps.fence, deps.emptyBucket))
  const written: ReconcileDeps['written'] = createLastWritten()
  for (const reflector of deps.caches.servers) reflector.onChange(({ object }) => written.seen(object))
  const accepted = createAcceptedSpecs()
  const bucketAccess: ReconcileDeps['bucketAccess'] = new Map()
  const domains = createDomainIndex({ exclusive: deps.exclusiveDomains })
  const cleanups: ReconcileDeps['cleanups'] = new Map()
  const upgradeTurns = createUpgradeTurns({
    limit: deps.maxConcurrentUpgrades,
    now: deps.now,
    rolling: () => deps.caches.rolling(),
    onTurn: onNews,
  })

  const builtInRules = readBuiltInRules()
  const spamRuleMistakes: ReconcileDeps['spamRuleMistakes'] = (rules) => compileRules(builtInRules, rules).mistakes

  const controller = createController(
    {
      name: 'mailserver',
      sources: [
        ...deps.caches.servers.map((reflector) => sourceOf(reflector, domains.file)),
        ...deps.caches.sources(),
        ...deps.sources,
      ],
      reconcile: (key, signal, failures) =>
        reconcileMailServer(
          key,
          {
            ...deps,
            emptyBucket,
            buckets,
            dns,
            written,
            accepted,
            bucketAccess,
            cleanups,
            domains,
            upgradeTurns,
            spamRuleMistakes,
          },
          signal,
          failures,
        ),
      workers: WORKERS,
    },
    kubeDeps,
  )
  return {
    ...controller,
    upgrades: upgradeTurns.size,
    async stop(graceMs) {
      buckets.stop()
      dns.stop()
      await controller.stop(graceMs)
    },
  }
}

/** An act outside of the API that whoever does not lead does not begin; a lead that is lost meanwhile aborts its signal. */
function fenced<A extends unknown[], R>(fence: Fence, act: (...given: A) => Promise<R>): (...given: A) => Promise<R> {
  return async (...given) => {
    fence()
    return act(...given)
  }
}

/** What takes long must not take every worker. Answers undefined while so many are at it. */
function atMost<A extends unknown[], R>(
  limit: number,
  act: (...given: A) => Promise<R>,
): (...given: A) => Promise<R | undefined> {
  let running = 0
  return async (...given) => {
    if (running >= limit) return undefined
    running += 1
    try {
      return await act(...given)
    } finally {
      running -= 1
    }
  }
}

/**
 * Records that are not as wanted are looked for every two minutes while somebody may be at it, then ever less often:
 * a thousand servers whose records nobody publishes must not keep the resolvers busy.
 */
function lookUpAgainMs(records: readonly VerifiedRecord[], unchanged: number): number {
  if (records.every(({ state }) => state === 'Published')) return 60 * MINUTE_MS
  return Math.min(2 * MINUTE_MS * 2 ** Math.max(0, unchanged - PATIENT_LOOKS), 30 * MINUTE_MS)
}
/** For ten minutes after a change. */
const PATIENT_LOOKS = 5

async function lookUp({ records, resolvers }: DnsQuestion, signal: AbortSignal): Promise<VerifiedRecord[]> {
  const resolver = createResolver(resolvers)
  const cancel = () => resolver.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    const verified = await verifyRecords(records, resolver, signal)
    // Only for keys: signing with one that some receivers cannot find yet would cost mail.
    const isKey = ({ name }: DnsRecord) => name.includes('._domainkey.')
    const at = (address: string) => createResolver([address], { timeout: 2_000, tries: 1 })
    const keys = await confirmAuthoritative(verified.filter(isKey), { lookups: resolver, at }, signal)
    return verified.map((record) => (isKey(record) ? (keys.shift() ?? record) : record))
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
