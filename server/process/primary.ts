/**
 * The primary of a pod with several workers: holds the shared listening ports, replaces workers that die, watches that they
 * answer, sums their metrics, and passes on the end.
 */
import type { Worker } from 'node:cluster'
import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { FromPrimary, FromWorker } from './messages.ts'
import { createMetricsCollector } from './metrics-collector.ts'
import type { StopSignal } from './stop-signal.ts'

const HEARTBEAT_MS = 5_000
/** A worker whose event loop has not turned for so long is stuck for good, and would still be given connections. */
const HANGING_MS = 60_000
const RESTART_MS = { first: 200, max: 10_000 }
/** A worker that lived so long did not die from starting. */
const STABLE_MS = 30_000

export interface PrimaryOptions {
  workers: number
  /** Starts a worker process that gets its number. */
  fork: (workerNumber: number) => Worker
  stop: StopSignal
  /** From the request to stop until what is left is killed. */
  drainMs: () => number
  log: Logger
  registry: Registry
}

/** Runs until asked to stop and all workers are gone. @returns the exit code */
export async function runPrimary(options: PrimaryOptions): Promise<number> {
  const { fork, stop, log, registry } = options
  const running = new Map<number, Worker>()
  const lastPong = new Map<number, number>()
  const restartDelay = new Map<number, number>()
  /** Workers that have served once: the pod is ready when all have, and one that dies later does not make it unready. */
  const served = new Set<number>()
  const restarts = new Counter({
    name: 'mail_worker_restarts_total',
    help: 'Worker processes that ended unasked and were started again',
    registers: [registry],
  })
  new Gauge({
    name: 'mail_workers',
    help: 'Running worker processes',
    registers: [registry],
    collect() {
      this.set(running.size)
    },
  })
  const send = (worker: Worker, message: FromPrimary) => {
    if (worker.isConnected()) worker.send(message, () => {}) // a worker that dies meanwhile is seen by its exit
  }
  const collector = createMetricsCollector({
    registry,
    workers: () => [...running].filter(([, worker]) => worker.isConnected()).map(([number]) => number),
    ask: (number, id) => {
      const worker = running.get(number)
      if (worker) send(worker, { type: 'collect-metrics', id })
    },
  })
  const allGone = Promise.withResolvers<void>()

  const start = (number: number) => {
    const startedAt = Date.now()
    const worker = fork(number)
    running.set(number, worker)
    lastPong.set(number, startedAt)
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'serving') {
        served.add(number)
        if (served.size === options.workers) for (const one of running.values()) send(one, { type: 'all-serving' })
      }
      if (message.type === 'pong') lastPong.set(number, Date.now())
      if (message.type === 'collected-metrics') collector.answered(number, message.id, message.metrics)
      if (message.type === 'want-metrics') {
        collector.collect().then(
          (text) => send(worker, { type: 'metrics', id: message.id, text }),
          (error: unknown) => log.error({ err: error }, 'metrics not collected'),
        )
      }
    })
    worker.on('exit', (code: number | null, signal: string | null) => {
      running.delete(number)
      collector.ended(number)
      if (stop.signal.aborted) {
        if (running.size === 0) allGone.resolve()
        return
      }
      const lived = Date.now() - startedAt
      const before = lived > STABLE_MS ? undefined : restartDelay.get(number)
      const delayMs = before === undefined ? RESTART_MS.first : Math.min(before * 2, RESTART_MS.max)
      restartDelay.set(number, delayMs)
      restarts.inc()
      log.error({ ended: number, code, signal, delayMs }, 'worker ended: starting it again')
      setTimeout(() => void (stop.signal.aborted || start(number)), delayMs)
    })
  }
  for (let number = 1; number <= options.workers; number++) start(number)

  let pings = 0
  const heartbeat = setInterval(() => {
    pings++
    for (const [number, worker] of running) {
      if (Date.now() - (lastPong.get(number) ?? 0) > HANGING_MS) {
        log.error({ hanging: number }, 'worker does not answer: ending it')
        worker.process.kill('SIGKILL')
      } else send(worker, { type: 'ping', id: pings })
    }
  }, HEARTBEAT_MS)

  const exitCode = await stop.stopped
  clearInterval(heartbeat)
  for (const worker of running.values()) send(worker, { type: 'drain' })
  if (running.size === 0) allGone.resolve()
  const deadline = setTimeout(() => {
    log.warn({ workers: running.size }, 'workers did not end in time: ending them')
    for (const worker of running.values()) worker.process.kill('SIGKILL')
  }, options.drainMs() + 2_000)
  await allGone.promise
  clearTimeout(deadline)
  return exitCode
}
