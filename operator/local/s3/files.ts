/** Durable files: what these functions say is done survives a power cut. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, link, mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The errno name of a file system error ('ENOENT'), '' for other errors. */
export function errno(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Makes a directory's entries durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** mkdir -p that makes each new directory durable in its parent. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let at = path; ; at = dirname(at)) {
    await syncDirectory(dirname(at))
    if (at === first) return
  }
}

export interface NewFile {
  /** Where the bytes are meanwhile. */
  handle: FileHandle
  /** fsync, then appears under its name at once and whole. */
  commit(path: string, options?: { onlyIfAbsent?: boolean }): Promise<'stored' | 'exists'>
  /** Removes what was not committed. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A file that does not exist before commit(). `temporary` lies on the same file system as its destination. */
export async function createFile(temporary: string): Promise<NewFile> {
  const path = join(temporary, randomBytes(12).toString('hex'))
  const handle = await open(path, 'wx+', 0o600)
  let pending = true
  return {
    handle,
    async commit(destination, { onlyIfAbsent = false } = {}) {
      await handle.sync()
      for (let attempt = 0; ; attempt++) {
        await makeDirectory(dirname(destination))
        try {
          if (onlyIfAbsent) {
            await link(path, destination) // rename would replace; link refuses
          } else {
            await rename(path, destination)
            pending = false
          }
          break
        } catch (error) {
          if (errno(error) === 'EEXIST') return 'exists'
          // A delete removed the empty directory between mkdir and here.
          if (errno(error) !== 'ENOENT' || attempt >= 10) throw error
        }
      }
      await syncDirectory(dirname(destination))
      return 'stored'
    },
    async [Symbol.asyncDispose]() {
      await handle.close()
      if (pending) await rm(path, { force: true })
    },
  }
}

/** Writes a small file whole. */
export async function writeSmallFile(temporary: string, path: string, content: string): Promise<void> {
  await using file = await createFile(temporary)
  await file.handle.writeFile(content)
  await file.commit(path)
}

/** Removes a file; false when it was not there. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path)
    return true
  } catch (error) {
    if (errno(error) === 'ENOENT') return false
    throw error
  }
}
