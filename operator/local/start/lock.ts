/** One run per directory: a file that names the process which has it. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { processBegan } from '../runner/process-table.ts'

interface Holder {
  pid: number
  /** See processBegan: a later process with the same pid is not the holder. */
  began: string
  since: string
}

/** Another run has the directory. */
export class AlreadyRunning extends Error {
  override name = 'AlreadyRunning'
}

/**
 * Takes the lock; a lock whose process is gone is taken over.
 * @throws AlreadyRunning saying which process has it
 */
export function takeLock(path: string, directory: string, now: Date): Disposable {
  const mine: Holder = { pid: process.pid, began: processBegan(process.pid) ?? '', since: now.toISOString() }
  for (let attempt = 0; ; attempt++) {
    try {
      const descriptor = openSync(path, 'wx', 0o600)
      writeSync(descriptor, JSON.stringify(mine))
      closeSync(descriptor)
      return { [Symbol.dispose]: () => rmSync(path, { force: true }) }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
    const holder = readHolder(path)
    if (holder && processBegan(holder.pid) === holder.began) {
      throw new AlreadyRunning(
        `It is running already: process ${holder.pid}, since ${holder.since}, with its state in ${directory}.\n` +
          'Stop that one first (Ctrl-C there), or start this one with --dir OTHER.',
      )
    }
    if (attempt > 5) throw new Error(`cannot take ${path}`)
    rmSync(path, { force: true })
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const { pid, began, since }: Holder = JSON.parse(readFileSync(path, 'utf8'))
    return Number.isInteger(pid) && typeof began === 'string' ? { pid, began, since } : undefined
  } catch {
    return undefined // cut short while it was written, or just removed
  }
}
