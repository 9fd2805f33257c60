/**
 * Leader election by a Lease, after client-go tools/leaderelection: one process acts, the others wait. Clocks of other
 * machines are never compared: a foreign lease counts as expired when we have not seen it change for its duration.
 */

import { isKubeError } from './errors.ts'
import { type KubeLogger, silentLogger } from './logger.ts'
import type { KubeMetrics } from './metrics.ts'
import { delay } from './rate-limit.ts'
import { Lease } from './resources.ts'
import { type KubeClient, type KubeObject, keyText, type ObjectKey } from './types.ts'

interface LeaseSpec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string | null
  renewTime?: string | null
  leaseTransitions?: number
}
type LeaseObject = KubeObject<LeaseSpec>

export interface LeaderElectionOptions {
  client: Pick<KubeClient, 'find' | 'create' | 'replace'>
  lease: ObjectKey
  /** Unique per process: the Pod's name and something random. */
  identity: string
  /** How long a silent leader is respected. Default 15 s. */
  leaseDurationMs?: number
  /** A leader that could not renew for so long steps down. Default 10 s; below the lease duration. */
  renewDeadlineMs?: number
  /** Between tries, with up to 20 % more for those who wait (client-go's JitterFactor 1.2). Default 2 s. */
  retryPeriodMs?: number
  /** Called when we become the leader; `signal` is aborted when we are not any more. */
  onStarted: (signal: AbortSignal) => void
  /** Called once when leadership is lost against our will: the process must end, its work may be another's now. */
  onLost: () => void
  now?: () => Date
  /** Milliseconds of a clock that never jumps. */
  monotonic?: () => number
  random?: () => number
  logger?: KubeLogger
  metrics?: KubeMetrics
}

export interface LeaderElection {
  /**
   * The fence to check before a write: true only while nobody else can hold the Lease, whatever the network does,
   * because it is counted from when our last successful renewal was sent.
   */
  isLeader(): boolean
  /** Who holds the Lease, as last seen; undefined before the first look or when nobody does. */
  leader(): string | undefined
  /** Ends the election. A leader gives the Lease back, so that the next one need not wait for it to expire. */
  stop(): Promise<void>
}

const RELEASE_TRIES = 3

export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, lease, identity, logger = silentLogger, metrics, random = Math.random } = options
  const leaseDurationMs = options.leaseDurationMs ?? 15_000
  const renewDeadlineMs = options.renewDeadlineMs ?? 10_000
  const retryPeriodMs = options.retryPeriodMs ?? 2_000
  if (leaseDurationMs <= renewDeadlineMs) throw new RangeError('leaseDurationMs must be above renewDeadlineMs')
  if (renewDeadlineMs <= retryPeriodMs * 1.2) throw new RangeError('renewDeadlineMs must be above 1.2 retryPeriodMs')
  const now = options.now ?? (() => new Date())
  const monotonic = options.monotonic ?? (() => performance.now())
  const label = { name: keyText(lease) }
  const stopping = new AbortController()
  const leading = new AbortController()

  let observed: LeaseObject | undefined
  /** What the Lease said when it last changed, and when we saw that. */
  let observedText = ''
  let observedAt = 0
  let renewedAt = Number.NEGATIVE_INFINITY
  let held = false
  metrics?.leader.set(label, 0)

  function observe(found: LeaseObject | undefined): void {
    const text = JSON.stringify(found?.spec ?? null)
    if (text !== observedText) observedAt = monotonic()
    observed = found
    observedText = text
  }

  /** client-go tryAcquireOrRenew. True when the Lease is ours after it. */
  async function acquireOrRenew(): Promise<boolean> {
    const sent = monotonic()
    const time = microTime(now())
    const mine: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: time,
      renewTime: time,
      leaseTransitions: 0,
    }
    const found = await client.find<LeaseObject>(Lease, lease)
    if (!found) {
      observe(await client.create<LeaseObject>(Lease, leaseObject(lease, mine)))
      renewedAt = sent
      return true
    }
    observe(found)
    const spec = found.spec ?? {}
    const ours = spec.holderIdentity === identity
    const validMs = (spec.leaseDurationSeconds ?? 0) * 1000
    if (!ours && spec.holderIdentity && observedAt + validMs > monotonic()) return false
    mine.leaseTransitions = (spec.leaseTransitions ?? 0) + (ours ? 0 : 1)
    if (ours) mine.acquireTime = spec.acquireTime ?? time
    // PUT with the resourceVersion we read: of two who try, one gets a Conflict.
    observe(await client.replace<LeaseObject>(Lease, { ...found, spec: mine }))
    renewedAt = sent
    return true
  }

  async function attempt(): Promise<boolean> {
    try {
      return await acquireOrRenew()
    } catch (error) {
      const level = isKubeError(error, 'Conflict', 'AlreadyExists') ? 'debug' : 'warn'
      logger[level]({ err: error, lease: label.name }, 'leader election: could not acquire or renew')
      return false
    }
  }

  async function acquire(): Promise<void> {
    logger.info({ lease: label.name, identity }, 'leader election: waiting for the Lease')
    let lastSeen: string | undefined
    while (!(await attempt())) {
      const holder = observed?.spec?.holderIdentity
      if (holder !== lastSeen) logger.info({ lease: label.name, holder }, 'leader election: another process leads')
      lastSeen = holder
      await delay(retryPeriodMs * (1 + random() * 0.2), stopping.signal)
      stopping.signal.throwIfAborted()
    }
  }

  async function renewUntilLost(): Promise<void> {
    for (;;) {
      await delay(retryPeriodMs, stopping.signal)
      await Promise.race([attempt(), delay(retryPeriodMs * 2, stopping.signal)])
      if (observed?.spec?.holderIdentity !== identity) {
        logger.error({ lease: label.name, holder: observed?.spec?.holderIdentity }, 'leader election: taken over')
        return
      }
      if (monotonic() - renewedAt >= renewDeadlineMs) {
        logger.error({ lease: label.name, renewDeadlineMs }, 'leader election: could not renew in time')
        return
      }
    }
  }

  async function run(): Promise<void> {
    try {
      await acquire()
    } catch {
      return // stopped while waiting
    }
    if (stopping.signal.aborted) {
      held = true // acquired while being stopped: to be given back
      return
    }
    held = true
    metrics?.leader.set(label, 1)
    logger.info({ lease: label.name, identity }, 'leader election: leading')
    options.onStarted(leading.signal)
    try {
      await renewUntilLost()
    } catch {
      return // stopped
    }
    held = false
    metrics?.leader.set(label, 0)
    leading.abort(new Error('leadership lost'))
    options.onLost()
  }

  async function release(tries = RELEASE_TRIES): Promise<void> {
    try {
      const found = await client.find<LeaseObject>(Lease, lease)
      if (found?.spec?.holderIdentity !== identity) return
      const time = microTime(now())
      const spec = { ...found.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: time, acquireTime: time }
      await client.replace(Lease, { ...found, spec })
      logger.info({ lease: label.name }, 'leader election: Lease given back')
    } catch (error) {
      // A renewal that was under way when we were stopped came in between.
      if (isKubeError(error, 'Conflict') && tries > 1) return release(tries - 1)
      logger.warn({ err: error, lease: label.name }, 'leader election: could not give the Lease back; it will expire')
    }
  }

  const running = run()

  return {
    isLeader: () => held && monotonic() - renewedAt < leaseDurationMs,
    leader: () => observed?.spec?.holderIdentity || undefined,
    async stop() {
      stopping.abort(new Error('the election is stopped'))
      await running
      if (!held) return
      held = false
      metrics?.leader.set(label, 0)
      leading.abort(new Error('the election is stopped'))
      await release()
    },
  }
}

function leaseObject(key: ObjectKey, spec: LeaseSpec): LeaseObject {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { ...key }, spec }
}

/** metav1.MicroTime: exactly six fraction digits. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z')
}
