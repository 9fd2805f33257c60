/** The operator as a part: given a client, runs both controllers until disposed. main.ts, tests and `npm start` use it. */

import { emptyBucket } from './bucket/emptying.ts'
import { generateDkimKey } from './dkim/keys.ts'
import type { KubeApi } from './kube/client.ts'
import { type Controller, runControllers } from './kube/controller.ts'
import { createEventRecorder } from './kube/events.ts'
import type { Fence } from './kube/fence.ts'
import { type KubeLogger, silentLogger } from './kube/logger.ts'
import type { KubeMetrics } from './kube/metrics.ts'
import type { ObjectKey } from './kube/types.ts'
import { createMailAccountController } from './mailaccount/controller.ts'
import { startCaches } from './mailserver/caches.ts'
import { createClaims, UNCLAIMED } from './mailserver/claims.ts'
import { createMailServerController, type MailServerControllerDeps } from './mailserver/controller.ts'
import { missingFields } from './served-schema.ts'

export interface OperatorOptions {
  /** Watched namespaces; empty: all. */
  namespaces?: readonly string[]
  /** Engine image of MailServers that name none. */
  engineImage?: string | undefined
  /** Names this process in Events. */
  identity: string
  /** By which its installation leads; without one it runs alone. */
  lease?: ObjectKey | undefined
  resyncMs?: number
  /** MailServers whose engines may be upgraded at once. Default 1. */
  maxConcurrentUpgrades?: number
  /** A MailServer that asks for a domain of another one is not carried out. Default false: both are, and it is told. */
  exclusiveDomains?: boolean
}

export interface OperatorDeps extends Pick<MailServerControllerDeps, 'ensureBucket' | 'verifyDns'> {
  emptyBucket?: typeof emptyBucket
  generateDkimKey?: typeof generateDkimKey
  /** For writes it has a fence of its own. */
  client: KubeApi
  /** Asked before every act outside of the Kubernetes API. Default: this process leads. */
  fence?: Fence
  logger?: KubeLogger
  metrics?: KubeMetrics
  now?: () => Date
}

export interface Operator extends AsyncDisposable {
  readonly controllers: readonly Controller[]
  /** Caches filled. */
  readonly synced: Promise<void>
  sinceLastContactMs(): number
  /** MailServers whose engines are being upgraded, and that wait for their turn. */
  upgrades(): { taken: number; waiting: number }
  /** MailServers that another installation of the operator looks after. */
  heldByOthers(): number
  /** By kind, how many fields of ours the API does not serve; empty until it has been asked, once the caches are filled. */
  missingFields(): ReadonlyMap<string, number>
  /** Begins to reconcile; call it as the leader. */
  lead(): Promise<AsyncDisposable>
  /** Lets running work end within the grace period (default 20 s), then aborts it, acts outside of the API included. */
  stop(graceMs?: number): Promise<void>
}

/** Fills the caches at once, so that a standby is warm when it becomes the leader. */
export function prepareOperator(options: OperatorOptions, deps: OperatorDeps): Operator {
  const { client, fence = () => {}, logger = silentLogger, now = () => new Date() } = deps
  const { resyncMs = 600_000 } = options
  const kubeDeps = { logger, ...(deps.metrics ? { metrics: deps.metrics } : {}) }
  const events = createEventRecorder({
    client,
    controller: 'mail.openova.io/operator',
    instance: options.identity,
    logger,
  })
  const caches = startCaches({ namespaces: options.namespaces ?? [], resyncMs }, { client, ...kubeDeps })
  const claims = options.lease ? createClaims({ client, lease: options.lease, events, logger }) : UNCLAIMED
  const mailAccounts = createMailAccountController(
    { namespaces: options.namespaces ?? [], resyncMs },
    { ...kubeDeps, client, fence, caches, claims, events, now },
  )
  const mailServers = createMailServerController({
    ...kubeDeps,
    ...(deps.ensureBucket ? { ensureBucket: deps.ensureBucket } : {}),
    ...(deps.verifyDns ? { verifyDns: deps.verifyDns } : {}),
    client,
    caches,
    claims,
    events,
    fence,
    emptyBucket: deps.emptyBucket ?? emptyBucket,
    generateDkimKey: deps.generateDkimKey ?? generateDkimKey,
    engineImage: options.engineImage,
    maxConcurrentUpgrades: options.maxConcurrentUpgrades ?? 1,
    exclusiveDomains: options.exclusiveDomains ?? false,
    hasAccount: mailAccounts.ofServers.hasTold,
    sources: mailAccounts.ofServers.sources,
    now,
  })
  const controllers = [mailServers, ...mailAccounts.controllers]
  const synced = Promise.all([...caches.sources(), ...mailAccounts.sources].map((source) => source.synced)).then(
    () => {},
  )
  const missing = new Map<string, number>()
  let comparing: NodeJS.Timeout | undefined
  let stopped = false
  async function compareSchemas(): Promise<void> {
    for (const [kind, fields] of await missingFields(client)) {
      const known = missing.get(kind)
      missing.set(kind, fields.length)
      if (fields.length === 0 || fields.length === known) continue
      logger.warn({ kind, fields: fields.slice(0, 20) }, 'the CRD is older than the operator: these fields are dropped')
    }
  }
  /** Until nothing is missing: CRDs are upgraded without the operator being started again. */
  async function keepComparing(): Promise<void> {
    await compareSchemas().catch((error: unknown) => logger.debug({ err: error }, 'the CRDs were not compared'))
    const done = missing.size > 0 && [...missing.values()].every((count) => count === 0)
    if (!done && !stopped) comparing = setTimeout(keepComparing, resyncMs).unref()
  }
  synced.then(keepComparing, () => {}) // stopped before the caches were filled
  async function stop(graceMs?: number): Promise<void> {
    stopped = true
    clearTimeout(comparing)
    await Promise.all(controllers.map((controller) => controller.stop(graceMs)))
    await Promise.all([caches[Symbol.asyncDispose](), mailAccounts[Symbol.asyncDispose]()])
    await events.stop()
  }
  return {
    controllers,
    synced,
    missingFields: () => missing,
    sinceLastContactMs: () => caches.sinceLastContactMs(),
    upgrades: mailServers.upgrades,
    heldByOthers: claims.held,
    lead: () => runControllers(controllers),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}
