/** A `minio` program that is on this machine anyway, as the S3 endpoint. */
import { access, constants, mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openLogFile } from '../runner/log-file.ts'
import { startProcess } from '../runner/process.ts'
import type { ProcessTable } from '../runner/process-table.ts'
import type { Credentials } from './signature.ts'

const START_DEADLINE_MS = 30_000
/** Between its end and the next start. */
const RESTART_DELAY_MS = 1_000
/** It would wait for idle connections; what it has answered is on disk. */
const STOP_GRACE_MS = 2_000

/** The program's path; undefined when PATH has none. */
export async function findMinio(path: string | undefined): Promise<string | undefined> {
  for (const directory of (path ?? '').split(delimiter)) {
    const program = join(directory, 'minio')
    if (
      directory !== '' &&
      (await access(program, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return program
  }
  return undefined
}

export interface MinioOptions {
  program: string
  dir: string
  port: number
  credentials: Credentials
  table: ProcessTable
  logPath: string
}

/** @throws Error with its last words when it does not come up */
export async function startMinio(options: MinioOptions): Promise<{ url: string; stop(): Promise<void> }> {
  const { credentials, port } = options
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  const log = openLogFile(options.logPath)
  const launch = () =>
    startProcess({
      command: options.program,
      args: ['server', options.dir, '--address', `127.0.0.1:${port}`, '--console-address', '127.0.0.1:0'],
      cwd: options.dir,
      env: {
        HOME: options.dir,
        MINIO_ROOT_USER: credentials.accessKey,
        MINIO_ROOT_PASSWORD: credentials.secretKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
      log,
      table: options.table,
    })
  let running = await launch()
  let ended = false
  void running.exited.then(() => {
    ended = true
  })
  const url = `http://127.0.0.1:${port}`
  const deadline = Date.now() + START_DEADLINE_MS
  for (;;) {
    // Its health page says ready before S3 requests are answered, so ask one: unsigned, it is denied.
    const ready = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.status === 403,
      () => false,
    )
    if (ready) break
    if (ended || Date.now() > deadline) {
      await running.stop(STOP_GRACE_MS)
      throw new Error(`minio did not start: ${log.lastLines().join(' ')} (see ${log.path})`)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const stopping = new AbortController()
  const kept = keepRunning()
  return {
    url,
    async stop() {
      stopping.abort()
      await running.stop(STOP_GRACE_MS)
      await kept
      log.close()
    },
  }

  /** As Kubernetes would: what ends unasked is started again. A start that fails is tried again too. */
  async function keepRunning(): Promise<void> {
    for (;;) {
      await running.exited
      while (!stopping.signal.aborted) {
        await delay(RESTART_DELAY_MS, undefined, { signal: stopping.signal }).catch(() => {})
        if (stopping.signal.aborted) return
        const again = await launch().catch(() => undefined)
        if (!again) continue
        running = again
        if (stopping.signal.aborted) await running.stop(STOP_GRACE_MS)
        break
      }
      if (stopping.signal.aborted) return
    }
  }
}
