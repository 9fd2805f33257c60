/** The operator's process: the one place that reads its environment and knows every part. */

import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { ConfigError, readOperatorConfig } from './config.ts'
import { createKubeClient, loadKubeConfig } from './kube/client.ts'
import { leaderFence } from './kube/fence.ts'
import { listenHealth } from './kube/health.ts'
import { type LeaderElection, startLeaderElection } from './kube/leader-election.ts'
import { createKubeMetrics } from './kube/metrics.ts'
import { reconcileFields } from './kube/reconcile-id.ts'
import { registerOperatorMetrics } from './metrics.ts'
import { prepareOperator } from './run.ts'

/** A watch tells something at least every minute (bookmarks); silent for so long, the process is better started anew. */
const SILENCE_MS = 10 * 60_000
/** What a thousand new MailServers may ask of the API per second: about as much as one core can make of it. */
const CALLS = { qps: 150, burst: 300 }

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

async function main(): Promise<void> {
  const config = readOperatorConfig(process.env, randomBytes(4).toString('hex'))
  const logger = pino({
    level: config.logLevel,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: reconcileFields,
  })
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const metrics = createKubeMetrics(registry)
  const stop = Promise.withResolvers<'signal' | 'lost'>()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.resolve('signal'))

  const connection = { kubeConfig: loadKubeConfig(), userAgent: 'mail-operator/0.1.0', metrics }
  let election: LeaderElection | undefined
  const fence = leaderFence(() => !config.leaderElection.enabled || (election?.isLeader() ?? false))
  await using client = createKubeClient({ ...connection, ...CALLS, fence })
  // With a rate limit of its own: a renewal that waits behind a thousand other calls may come too late. Not fenced: it
  // is how the lead is won.
  await using leaseClient = createKubeClient(connection)
  await using operator = prepareOperator(
    {
      namespaces: config.namespaces,
      engineImage: config.engineImage,
      identity: config.identity,
      lease: config.leaderElection.enabled
        ? { namespace: config.leaderElection.namespace, name: config.leaderElection.name }
        : undefined,
      resyncMs: config.resyncMs,
      maxConcurrentUpgrades: config.maxConcurrentUpgrades,
      exclusiveDomains: config.exclusiveDomains,
    },
    { client, fence, logger, metrics },
  )
  registerOperatorMetrics(registry, operator)
  let synced = false
  operator.synced.then(
    () => {
      synced = true
    },
    () => {}, // stopped before
  )
  using loop = eventLoop()
  const silent = () =>
    operator.sinceLastContactMs() > SILENCE_MS ? 'the API has been silent for 10 minutes' : undefined
  await using _health =
    config.healthPort === 0
      ? undefined
      : await listenHealth({
          port: config.healthPort,
          registry,
          healthz: { watches: silent, eventLoop: loop.check },
          readyz: { caches: () => (synced ? undefined : 'the caches are not filled yet') },
        })
  logger.info(
    { namespaces: config.namespaces, identity: config.identity, healthPort: config.healthPort },
    'mail-operator started',
  )

  const lead = () =>
    operator.lead().catch((error: unknown) => {
      logger.error({ err: error }, 'the controllers could not be started')
      stop.resolve('lost')
    })
  if (config.leaderElection.enabled) {
    const { namespace, name, leaseMs, renewMs, retryMs } = config.leaderElection
    election = startLeaderElection({
      client: leaseClient,
      lease: { namespace, name },
      identity: config.identity,
      leaseDurationMs: leaseMs,
      renewDeadlineMs: renewMs,
      retryPeriodMs: retryMs,
      onStarted: () => void lead(),
      onLost: () => stop.resolve('lost'),
      logger,
      metrics,
    })
  } else void lead()

  const why = await stop.promise
  logger.info({ why }, 'mail-operator stops')
  // First let running work end, while we still may write; then hand over the Lease, so that nobody waits for it. Where
  // another one may lead already, nothing has time to end.
  // Who was cut off from the API would wait for its requests to time out: they are ended.
  if (why === 'lost') await client[Symbol.asyncDispose]()
  await operator.stop(why === 'lost' ? 0 : undefined)
  await election?.stop()
  if (why === 'lost') process.exitCode = 1
}

/** Alive is a loop that turns: a process that is stuck renews no Lease and must be started anew. */
function eventLoop(): Disposable & { check: () => string | undefined } {
  const delay = monitorEventLoopDelay({ resolution: 100 })
  delay.enable()
  return {
    check() {
      const seconds = delay.max / 1e9
      delay.reset()
      return seconds > 30 ? `the event loop stood still for ${Math.round(seconds)} s` : undefined
    },
    [Symbol.dispose]: () => void delay.disable(),
  }
}
