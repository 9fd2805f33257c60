/**
 * The mail engine. The one place that reads the environment and knows every part: a primary that keeps workers running, or
 * one process that serves. What it needs from outside may come late: it waits, unready, and says in /readyz for what.
 */
import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { EngineEnvironment } from './config.ts'
import { environmentOrComplaint, WORKER_VARIABLE } from './process/environment.ts'
import { startingRoute } from './process/health.ts'
import { type Host, startHost } from './process/host.ts'
import { keepTrying } from './process/keep-trying.ts'
import { watchConfig } from './process/live-config.ts'
import { createLogger, logWarnings } from './process/logger.ts'
import { runPrimary } from './process/primary.ts'
import { listenForStop, type StopSignal } from './process/stop-signal.ts'

const DEFAULT_DRAIN_MS = 25_000
/** After the mail is safe, how long HTTP answers may still take. */
const HTTP_DRAIN_MS = 2_000

if (import.meta.main) process.exit(await main(process.env))

/** @returns the process's exit code */
async function main(env: NodeJS.ProcessEnv): Promise<number> {
  const environment = environmentOrComplaint(env)
  if (!environment) return 78 // EX_CONFIG
  const number = Number(env[WORKER_VARIABLE] ?? 0)
  const isPrimary = cluster.isPrimary && environment.workers > 1
  const log = createLogger({
    level: 'info',
    pod: environment.podName,
    ...(isPrimary || cluster.isWorker ? { worker: number } : {}),
  })
  logWarnings(log)
  const stop = listenForStop(log)
  return isPrimary ? keepWorkers(environment, log, stop) : serve(environment, log, stop)
}

async function keepWorkers(environment: EngineEnvironment, log: Logger, stop: StopSignal): Promise<number> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const file = `${environment.rootDirectory}/config/config.json`
  // Workers log and count what is wrong with the file; the primary only needs the newest deadline.
  using config = await watchConfig({ file, log: log.child({}, { level: 'silent' }), registry: new Registry() })
  return runPrimary({
    workers: environment.workers,
    fork: (number) => cluster.fork({ [WORKER_VARIABLE]: String(number) }),
    stop,
    drainMs: () => config.current()?.limits.drainMs ?? DEFAULT_DRAIN_MS,
    log: log.child({ component: 'primary' }),
    registry,
  })
}

async function serve(environment: EngineEnvironment, log: Logger, stop: StopSignal): Promise<number> {
  const host = await startHostWhenFree(environment, log, stop)
  if (!host) return stop.stopped
  let started = false
  host.http.routes.push(startingRoute(() => started))
  try {
    // Here and not above: the primary needs none of the parts, and stays small without them.
    const { startParts } = await import('./parts.ts')
    const parts = await startParts(host, { log, signal: stop.signal })
    started = true
    host.serving()
    log.info('serving')
    const exitCode = await stop.stopped
    host.readiness.drain()
    endLater(host.config.current()?.limits.drainMs ?? DEFAULT_DRAIN_MS, exitCode, log)
    await parts.drain()
    await drainHttp(host)
    await parts[Symbol.asyncDispose]()
    await host[Symbol.asyncDispose]()
    log.info({ exitCode }, 'ended')
    return exitCode
  } catch (error) {
    if (stop.signal.aborted) return stop.stopped
    // What may come later was waited for: this is a bug, or a machine that is out of something.
    log.fatal({ err: error }, 'the engine could not start')
    return 1
  }
}

/** The HTTP port may still be held by a process that ends. @returns undefined when asked to stop meanwhile */
async function startHostWhenFree(
  environment: EngineEnvironment,
  log: Logger,
  stop: StopSignal,
): Promise<Host | undefined> {
  const onFailure = (error: unknown, delayMs: number) =>
    log.error({ err: error, delayMs }, 'HTTP not started: trying again')
  try {
    return await keepTrying(() => startHost(environment, { log, stop }), { signal: stop.signal, onFailure })
  } catch (error) {
    if (!stop.signal.aborted) throw error
    return undefined
  }
}

function endLater(drainMs: number, exitCode: number, log: Logger): void {
  setTimeout(() => {
    log.warn({ drainMs }, 'not drained in time: ending')
    process.exit(exitCode)
  }, drainMs).unref()
}

/** Health and metrics answer until the very end; then the ports close, and answers under way are finished. */
async function drainHttp({ http, httpListeners }: Host): Promise<void> {
  for (const listener of httpListeners) listener.stopAccepting()
  http.drain()
  const isOpen = () => httpListeners.some((listener) => listener.sessions() > 0)
  for (let waited = 0; isOpen() && waited < HTTP_DRAIN_MS; waited += 20) await sleep(20)
}
