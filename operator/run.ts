/** The operator as a part: given a client, runs both controllers until disposed. main.ts, tests and `npm start` use it. */

import { emptyBucket } from './bucket/bucket.ts'
import { generateDkimKey } from './dkim/keys.ts'
import type { KubeApi } from './kube/client.ts'
import { type Controller, runControllers } from './kube/controller.ts'
import { createEventRecorder } from './kube/events.ts'
import { type KubeLogger, silentLogger } from './kube/logger.ts'
import type { KubeMetrics } from './kube/metrics.ts'
import { createMailAccountController } from './mailaccount/controller.ts'
import { startCaches } from './mailserver/caches.ts'
import { createMailServerController, type MailServerControllerDeps } from './mailserver/controller.ts'

export interface OperatorOptions {
  /** Watched namespaces; empty: all. */
  namespaces?: readonly string[]
  /** Engine image of MailServers that name none. */
  engineImage?: string | undefined
  /** Names this process in Events. */
  identity: string
  resyncMs?: number
}

export interface OperatorDeps extends Pick<MailServerControllerDeps, 'ensureBucket' | 'verifyDns'> {
  emptyBucket?: typeof emptyBucket
  client: KubeApi
  logger?: KubeLogger
  metrics?: KubeMetrics
  now?: () => Date
}

export interface Operator extends AsyncDisposable {
  readonly controllers: readonly Controller[]
  /** Caches filled. */
  readonly synced: Promise<void>
  sinceLastContactMs(): number
  /** Begins to reconcile; call it as the leader. */
  lead(): Promise<AsyncDisposable>
}

/** Fills the caches at once, so that a standby is warm when it becomes the leader. */
export function prepareOperator(options: OperatorOptions, deps: OperatorDeps): Operator {
  const { client, logger = silentLogger, now = () => new Date() } = deps
  const kubeDeps = { logger, ...(deps.metrics ? { metrics: deps.metrics } : {}) }
  const events = createEventRecorder({
    client,
    controller: 'mail.openova.io/operator',
    instance: options.identity,
    logger,
  })
  const caches = startCaches(
    { namespaces: options.namespaces ?? [], resyncMs: options.resyncMs ?? 600_000 },
    { client, ...kubeDeps },
  )
  const mailServers = createMailServerController({
    ...kubeDeps,
    ...(deps.ensureBucket ? { ensureBucket: deps.ensureBucket } : {}),
    ...(deps.verifyDns ? { verifyDns: deps.verifyDns } : {}),
    client,
    caches,
    events,
    emptyBucket: deps.emptyBucket ?? emptyBucket,
    generateDkimKey,
    engineImage: options.engineImage,
    now,
  })
  const mailAccounts = createMailAccountController(
    { namespaces: options.namespaces ?? [], resyncMs: options.resyncMs ?? 600_000 },
    { ...kubeDeps, client, caches, events, now },
  )
  const controllers = [mailServers, mailAccounts.controller]
  return {
    controllers,
    synced: Promise.all([...caches.sources(), ...mailAccounts.sources].map(({ synced }) => synced)).then(() => {}),
    sinceLastContactMs: () => caches.sinceLastContactMs(),
    lead: () => runControllers(controllers),
    async [Symbol.asyncDispose]() {
      await Promise.all(controllers.map((controller) => controller.stop()))
      await Promise.all([caches[Symbol.asyncDispose](), mailAccounts[Symbol.asyncDispose]()])
      await events.stop()
    },
  }
}
