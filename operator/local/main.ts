/** `npm start`: the whole mail service on this machine, until Ctrl-C. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PortTaken } from './runner/service-ports.ts'
import { AlreadyRunning } from './start/lock.ts'
import { BadManifest } from './start/manifests.ts'
import { HELP, readOptions, UsageError } from './start/options.ts'
import { type LocalCluster, type LocalOptions, startLocal } from './start/start-local.ts'
import { summary } from './start/summary.ts'

export type { Endpoints } from './start/endpoints.ts'
export { type LocalCluster, type LocalOptions, startLocal } from './start/start-local.ts'

if (import.meta.main) process.exit(await main(process.argv.slice(2), process.env))

/** @returns the process's exit code: 0 after Ctrl-C, 1 when it cannot run, 2 when it was asked wrongly */
async function main(args: readonly string[], env: Record<string, string | undefined>): Promise<number> {
  let options: LocalOptions | undefined
  try {
    options = readOptions(args, env, resolve(fileURLToPath(import.meta.url), '..', '..', '..'))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(`${error.message}\nTry: npm start -- --help`)
    return 2
  }
  if (!options) {
    say(HELP)
    return 0
  }
  const began = Date.now()
  const progress = (message: string): void =>
    say(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${message}`)
  const stopping = listenForStop(progress)
  let cluster: LocalCluster
  try {
    cluster = await startLocal({ ...options, progress, signal: stopping })
  } catch (error) {
    if (stopping.aborted) return ended()
    say(explained(error, options.dir))
    return 1
  }
  say(summary(cluster.endpoints, (Date.now() - began) / 1000))
  await new Promise<void>((resolve) => {
    if (stopping.aborted) resolve()
    stopping.addEventListener('abort', () => resolve(), { once: true })
  })
  await cluster.stop()
  return ended()
}

function ended(): number {
  say('Everything has ended. The mail is kept for the next start.')
  return 0
}

function explained(error: unknown, dir: string): string {
  const message = error instanceof Error ? error.message : String(error)
  const plain = [AlreadyRunning, BadManifest, PortTaken].some((kind) => error instanceof kind)
  return plain
    ? message
    : `It could not be started: ${message}\nMore may be in ${dir}/runner.log and ${dir}/operator.log`
}

/** Aborts at the first signal. At the second we leave at once: the guards of the processes end those. */
function listenForStop(progress: (message: string) => void): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1)
      progress('Stopping (again to leave at once)')
      controller.abort(new Error('stopped'))
    })
  }
  return controller.signal
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
