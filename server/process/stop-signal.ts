/** How a process is asked to end: SIGTERM (Kubernetes), SIGINT (a terminal), or its primary. */
import type { Logger } from 'pino'

export interface StopSignal {
  /** Aborts at the first request to stop. */
  signal: AbortSignal
  /** Resolves with the exit code to end with: 0, or 1 after an unhandled error. */
  stopped: Promise<number>
  request(reason: string, exitCode?: number): void
}

/**
 * Installs the process's handlers. A second signal ends the process at once; so does an unhandled error while stopping.
 * An unhandled error is a bug: it is logged, and the process drains and ends with 1, because what it left is unknown.
 */
export function listenForStop(log: Logger): StopSignal {
  const controller = new AbortController()
  const { promise, resolve } = Promise.withResolvers<number>()
  const request = (reason: string, exitCode = 0) => {
    if (controller.signal.aborted) return
    log.info({ reason }, 'stopping')
    controller.abort(new Error(`stopping: ${reason}`))
    resolve(exitCode)
  }
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    let times = 0
    process.on(name, () => {
      if (++times > 1) {
        log.warn({ signal: name }, 'second signal: ending at once')
        process.exit(1)
      }
      request(name)
    })
  }
  for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(name, (error: unknown) => {
      log.fatal({ err: error, event: name }, 'unhandled error')
      if (controller.signal.aborted) process.exit(1)
      request(name, 1)
    })
  }
  return { signal: controller.signal, stopped: promise, request }
}
