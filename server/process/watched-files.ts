/** Tells when mounted files change: configuration, certificate, admin token. */
import { stat } from 'node:fs/promises'

export interface WatchOptions {
  /** Absolute paths; asked anew at every look, so they may change with the configuration. */
  paths: () => string[]
  /** Reads them: at once, and again after each change, one at a time; a throw is the caller's to handle. */
  read: () => Promise<void>
  intervalMs?: number
}

/**
 * Looks at the files' identity every second. Kubernetes swaps a symlink (`..data`) above the file, which notifications
 * about the file itself do not show and a stat of the path does; some file systems send no notifications at all. One stat
 * per second costs nothing and always works.
 * @returns stops watching; when they were read once
 */
export async function watchFiles({ paths, read, intervalMs = 1_000 }: WatchOptions): Promise<() => void> {
  // Looked at before they are read, each time: what changes while they are read is seen at the next look.
  let seen = await signature(paths())
  await read()
  let stopped = false
  let timer: NodeJS.Timeout
  const look = async () => {
    const now = await signature(paths())
    if (now !== seen) {
      seen = now
      await read()
    }
    if (!stopped) timer = setTimeout(look, intervalMs).unref()
  }
  timer = setTimeout(look, intervalMs).unref()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}

async function signature(paths: string[]): Promise<string> {
  const parts = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ino, mtimeMs, size } = await stat(path)
        return `${path} ${ino} ${mtimeMs} ${size}`
      } catch {
        return `${path} absent`
      }
    }),
  )
  return parts.join('\n')
}
