/**
 * One child process that never outlives us: in its own process group (Ctrl-C in the terminal is for us alone), with a
 * guard that ends the group when we are gone, however that happened.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { LogFile } from './log-file.ts'
import { type ProcessTable, signalGroup } from './process-table.ts'

/** After SIGTERM by the guard. */
const GUARD_GRACE_SECONDS = 8

export interface ProcessOptions {
  command: string
  args: readonly string[]
  cwd: string
  /** The whole environment. */
  env: Record<string, string>
  log: LogFile
  table: ProcessTable
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunningProcess {
  readonly pid: number
  /** Settles when the process has ended, asked or not. */
  readonly exited: Promise<Exit>
  /** SIGTERM; SIGKILL to the whole group after graceMs. Resolves when it has ended. */
  stop(graceMs: number): Promise<Exit>
}

/** @throws Error when the program cannot be started at all */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const { log, table } = options
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${options.command}: no pid`)
  table.add(pid)
  const guard = startGuard(pid)
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => log.write(chunk))
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', () => {
      signalGroup(pid, 'SIGKILL') // workers whose parent is gone
      guard.kill('SIGKILL')
      table.remove(pid)
    })
    child.once('close', (code, signal) => resolve({ code, signal })) // its last words are in the log
  })
  return {
    pid,
    exited,
    async stop(graceMs) {
      child.kill('SIGTERM')
      const force = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs)
      const exit = await exited
      clearTimeout(force)
      return exit
    },
  }
}

/** A shell that waits for our end of a pipe to close. */
function startGuard(pid: number): ChildProcess {
  const script = `read -r _; kill -s TERM -- "-$1"; sleep ${GUARD_GRACE_SECONDS}; kill -s KILL -- "-$1"`
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(pid)], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.on('error', () => {}) // no shell: the process table is what is left then
  guard.stdin.on('error', () => {})
  guard.unref()
  return guard
}
