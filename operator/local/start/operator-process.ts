/** The operator as a process of its own, as in a cluster: started again when it ends, its words in a log file. */
import type { KubeLogger } from '../../kube/logger.ts'
import { openLogFile } from '../runner/log-file.ts'
import { type RunningProcess, startProcess } from '../runner/process.ts'
import type { ProcessTable } from '../runner/process-table.ts'

const BACKOFF_BASE_MS = 500
const BACKOFF_MAX_MS = 15_000
/** A run so long was a good one. */
const STEADY_MS = 30_000
const STOP_GRACE_MS = 4_000

export interface OperatorProcessOptions {
  repositoryRoot: string
  /** The whole environment: KUBECONFIG and what else it reads. */
  env: Record<string, string>
  logPath: string
  table: ProcessTable
  logger: KubeLogger
  progress: (message: string) => void
}

export interface OperatorProcess {
  stop(): Promise<void>
}

export function startOperatorProcess(options: OperatorProcessOptions): OperatorProcess {
  const { logger } = options
  const log = openLogFile(options.logPath)
  const stopping = Promise.withResolvers<void>()
  let stopped = false
  let running: RunningProcess | undefined

  async function keepRunning(): Promise<void> {
    let failures = 0
    while (!stopped) {
      const startedAt = Date.now()
      running = await startProcess({
        command: process.execPath,
        args: ['operator/main.ts'],
        cwd: options.repositoryRoot,
        env: options.env,
        log,
        table: options.table,
      })
      logger.info({ pid: running.pid }, 'operator started')
      const exit = await running.exited
      if (stopped) return
      failures = Date.now() - startedAt > STEADY_MS ? 1 : failures + 1
      const waitMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (failures - 1))
      logger.error({ ...exit, waitMs, last: log.lastLines() }, 'operator ended, starting it again')
      options.progress(`The operator ended (${exit.signal ?? exit.code}) and is started again; see ${options.logPath}`)
      const timer = Promise.withResolvers<void>()
      const timeout = setTimeout(timer.resolve, waitMs)
      await Promise.race([timer.promise, stopping.promise])
      clearTimeout(timeout)
    }
  }

  const ended = keepRunning().catch((error) => {
    logger.error({ err: error }, 'operator not started')
    options.progress(`The operator cannot be started: ${error instanceof Error ? error.message : error}`)
  })
  return {
    async stop() {
      stopped = true
      stopping.resolve()
      await running?.stop(STOP_GRACE_MS)
      await ended
      log.close()
    },
  }
}
