/** The MailServer controller: caches, background checks and the loop, put together. */

import { type BucketState, type BucketWishes, ensureBucket } from '../bucket/bucket.ts'
import { confirmAuthoritative } from '../dns/authoritative.ts'
import type { DnsRecord } from '../dns/records.ts'
import { createResolver, type VerifiedRecord, verifyRecords } from '../dns/verify.ts'
import { type Controller, createController } from '../kube/controller.ts'
import type { KubeLogger } from '../kube/logger.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import { type BackgroundChecks, createBackgroundChecks } from './background-checks.ts'
import type { Caches } from './caches.ts'
import { reconcileMailServer } from './reconcile.ts'
import type { DnsQuestion, ReconcileDeps } from './reconcile-deps.ts'

export interface MailServerControllerDeps extends Omit<ReconcileDeps, 'buckets' | 'dns' | 'caches' | 'written'> {
  caches: Caches
  logger?: KubeLogger
  metrics?: KubeMetrics
  /** The checks of the outside world; tests play it. */
  ensureBucket?: typeof ensureBucket
  verifyDns?: (question: DnsQuestion, signal: AbortSignal) => Promise<VerifiedRecord[]>
}

const MINUTE_MS = 60_000

export function createMailServerController(deps: MailServerControllerDeps): Controller {
  const { logger, metrics } = deps
  const kubeDeps = { ...(logger ? { logger } : {}), ...(metrics ? { metrics } : {}) }
  const onNews = (key: { namespace: string; name: string }) => controller.queue.add(key)

  const buckets: BackgroundChecks<BucketWishes, BucketState> = createBackgroundChecks({
    run: deps.ensureBucket ?? ensureBucket,
    freshMs: ({ ok }) => (ok ? 10 * MINUTE_MS : 10_000),
    onNews,
    ...(logger ? { logger } : {}),
  })
  const dns: BackgroundChecks<DnsQuestion, VerifiedRecord[]> = createBackgroundChecks({
    run: deps.verifyDns ?? lookUp,
    freshMs: (records) => (records.every(({ state }) => state === 'Published') ? 60 * MINUTE_MS : 2 * MINUTE_MS),
    onNews,
    ...(logger ? { logger } : {}),
  })

  const written: ReconcileDeps['written'] = new Map()

  const controller = createController(
    {
      name: 'mailserver',
      sources: deps.caches.sources(),
      reconcile: (key, signal) => reconcileMailServer(key, { ...deps, buckets, dns, written }, signal),
      workers: 4,
    },
    kubeDeps,
  )
  return {
    ...controller,
    async stop(graceMs) {
      buckets.stop()
      dns.stop()
      await controller.stop(graceMs)
    },
  }
}

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
