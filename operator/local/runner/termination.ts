/** How a container ended, and its last words: the file that it may leave at terminationMessagePath. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import type { LogFile } from './log-file.ts'
import { type Container, kubeTime, type TerminatedState } from './objects.ts'
import { hostPath } from './pod-files.ts'
import type { Exit } from './process.ts'

/** The kubelet keeps no more of the file, nor of a log that stands in for it. */
const MESSAGE_BYTES = 4096
const LOG_CHARS = 2048

/** Where the process finds the file that stands for /dev/termination-log. */
export function terminationLogOf(container: Container, root: string): string {
  return hostPath(root, container.terminationMessagePath ?? '/dev/termination-log')
}

/** Makes the file, empty, as a container finds it. */
export async function prepareTermination(container: Container, root: string): Promise<void> {
  const path = terminationLogOf(container, root)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(path, '', { mode: 0o600 })
}

interface Run {
  startedAt: Date
  finishedAt: Date
  container: Container | undefined
  root: string
  log: LogFile
}

export async function terminatedState(exit: Exit, run: Run): Promise<TerminatedState> {
  const signal = exit.signal ? constants.signals[exit.signal] : undefined
  return {
    exitCode: exit.code ?? 128 + (signal ?? 0),
    ...(signal === undefined ? {} : { signal }),
    reason: exit.code === 0 ? 'Completed' : 'Error',
    message: await lastWords(run),
    startedAt: kubeTime(run.startedAt),
    finishedAt: kubeTime(run.finishedAt),
  }
}

/** The end of the log where there is no file, as with terminationMessagePolicy FallbackToLogsOnError: it helps, always. */
async function lastWords({ container, root, log }: Run): Promise<string> {
  const written = container && (await readFile(terminationLogOf(container, root)).catch(() => undefined))
  if (written && written.length > 0) return written.subarray(0, MESSAGE_BYTES).toString('utf8')
  return log.lastLines().join('\n').slice(-LOG_CHARS)
}
