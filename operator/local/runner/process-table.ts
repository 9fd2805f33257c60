/**
 * Which processes the runner has started, on disk: a run that was killed leaves its list, and the next one ends what is
 * still there of it, after checking that a pid still means the process that was recorded.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

interface Entry {
  pid: number
  /** When the process began, as the system tells it: a pid is reused, a pid with its start is not. */
  began: string
}

export interface ProcessTable {
  add(pid: number): void
  remove(pid: number): void
}

/** The moment a process began, in the system's own terms; undefined when none runs with this pid (a zombie does not). */
export function processBegan(pid: number): string | undefined {
  try {
    // proc(5): field 22, counted behind the command name, which may hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z') return undefined
    const began = fields[19]
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${began}`
  } catch {
    try {
      const [state, ...began] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
        .toString()
        .trim()
        .split(/\s+/)
      return state?.startsWith('Z') ? undefined : began.join(' ')
    } catch {
      return undefined
    }
  }
}

/** @param path of the list; what is in it must have been ended before (endLeftovers) */
export function openProcessTable(path: string): ProcessTable {
  const entries = new Map<number, Entry>()
  const save = (): void => {
    try {
      writeFileSync(`${path}.new`, JSON.stringify([...entries.values()]), { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch {
      // A full disk, or a state directory that somebody removed: the guards still end what we started.
    }
  }
  save()
  return {
    add(pid) {
      const began = processBegan(pid)
      if (began === undefined) return
      entries.set(pid, { pid, began })
      save()
    },
    remove(pid) {
      if (entries.delete(pid)) save()
    },
  }
}

/**
 * Ends the process groups that a killed run has left: SIGTERM, and SIGKILL for what is still there after graceMs.
 * @returns how many there were
 */
export async function endLeftovers(path: string, graceMs: number): Promise<number> {
  const left = readEntries(path).filter(({ pid, began }) => processBegan(pid) === began)
  for (const { pid } of left) signalGroup(pid, 'SIGTERM')
  const deadline = Date.now() + graceMs
  const alive = (): Entry[] => left.filter(({ pid, began }) => processBegan(pid) === began)
  while (alive().length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100))
  for (const { pid } of alive()) signalGroup(pid, 'SIGKILL')
  return left.length
}

/** Sends to a process and its children; false when there is no such group any more. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

function readEntries(path: string): Entry[] {
  try {
    const entries: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (!Array.isArray(entries)) return []
    return entries.filter(
      (entry): entry is Entry => Number.isInteger(entry?.pid) && entry.pid > 1 && typeof entry.began === 'string',
    )
  } catch {
    return []
  }
}
