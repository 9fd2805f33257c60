/** What a process says, kept in a file that cannot grow for ever. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

const MAX_BYTES = 10 * 1024 * 1024
const LAST_LINES = 10
const LAST_LINE_CHARS = 400

export interface LogFile {
  readonly path: string
  write(chunk: Buffer | string): void
  /** The newest lines, for a message about why the process ended. */
  lastLines(): string[]
  close(): void
}

/**
 * Appends; when the file reaches maxBytes it becomes `<path>.1`, in the place of an older one. Writes are synchronous, so
 * that the last words before a crash are there.
 */
export function openLogFile(path: string, maxBytes = MAX_BYTES): LogFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  let descriptor = openSync(path, 'a', 0o600)
  let size = statSync(path).size
  let tail = ''
  let closed = false

  function rotate(): void {
    closeSync(descriptor)
    if (existsSync(path)) renameSync(path, `${path}.1`)
    descriptor = openSync(path, 'a', 0o600)
    size = 0
  }

  return {
    path,
    write(chunk) {
      if (closed) return
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (size > 0 && size + bytes.length > maxBytes) rotate()
      try {
        size += writeSync(descriptor, bytes)
      } catch {
        // A full disk must not take the runner down; the process itself goes on.
      }
      tail = (tail + bytes.toString('utf8')).slice(-LAST_LINES * LAST_LINE_CHARS)
    },
    lastLines: () => tail.trimEnd().split('\n').slice(-LAST_LINES),
    close() {
      if (closed) return
      closed = true
      closeSync(descriptor)
    },
  }
}
