/** CPU time of a group of processes: a cgroup of their own (v1 cpuacct or v2) where one can be made. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes a cgroup whose CPU use can be read.
 * @returns its directory, or undefined where this process may make none (not root, read-only mounts)
 */
export function makeAccountingCgroup(name: string): string | undefined {
  let mounts: string
  try {
    mounts = readFileSync('/proc/mounts', 'utf8')
  } catch {
    return undefined // not Linux
  }
  for (const wanted of ['cgroup', 'cgroup2'] as const) {
    for (const line of mounts.split('\n')) {
      const [, at, type, options] = line.split(' ')
      if (type !== wanted || !at || (type === 'cgroup' && !options?.split(',').includes('cpuacct'))) continue
      const directory = join(at, name)
      try {
        mkdirSync(directory)
        return directory
      } catch {}
    }
  }
  return undefined
}

/** Moves the calling process into the cgroup; children started afterwards are in it too. */
export function enterCgroup(directory: string): void {
  writeFileSync(join(directory, 'cgroup.procs'), '0')
}

/** CPU seconds used so far by everything that ever ran in the cgroup. */
export function cpuSeconds(directory: string): number {
  try {
    return Number(readFileSync(join(directory, 'cpuacct.usage'), 'utf8')) / 1e9
  } catch {
    const stat = readFileSync(join(directory, 'cpu.stat'), 'utf8')
    return Number(/usage_usec (\d+)/.exec(stat)?.[1]) / 1e6
  }
}

/** Removes an empty cgroup; a busy one is left to its processes. */
export function removeCgroup(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {}
}
