/**
 * Real Kubernetes for tests, where the machine has it: the programs beside the checkout (`../shared/tools/get`), or
 * whatever KUBECONFIG points at. Nothing here builds anything unless asked: a first build takes minutes.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '..')

export type ToolName = 'cluster' | 'node' | 'kubectl' | 'helm' | 'minio' | 'cnpg'

export class ToolMissing extends Error {
  override name = 'ToolMissing'
}

/** The folder of the tools; undefined where this machine has none. */
export function toolsFolder(): string | undefined {
  const folder = join(repository, '..', 'shared', 'tools')
  return existsSync(join(folder, 'get')) ? folder : undefined
}

/** Where a tool would be once built, by the same rules as `get`. */
function builtFiles(folder: string, name: ToolName): string[] {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'mail-test-tools')
  const get = readFileSync(join(folder, 'get'), 'utf8')
  const version = (pattern: RegExp) => pattern.exec(get)?.[1] ?? 'unknown'
  const helmVersion = version(/^helm=\S+@(\S+)$/m)
  const minioVersion = version(/^minio=\S+@(\S+)$/m)
  const cnpgVersion = version(/^cnpg_version=(\S+)/m)
  if (name === 'helm') return [join(cache, helmVersion, 'helm')]
  if (name === 'minio') return [join(cache, minioVersion, 'minio')]
  if (name === 'cnpg') return [join(cache, `cnpg-${cnpgVersion}`, 'cnpg')]
  const sources = readdirSync(join(folder, 'cluster')).filter((file) => file.endsWith('.go'))
  const hash = createHash('sha256')
  for (const file of [...sources.sort(), 'go.mod']) hash.update(readFileSync(join(folder, 'cluster', file)))
  const directory = join(cache, `cluster-${hash.digest('hex').slice(0, 12)}`)
  const files = name === 'node' ? ['cluster', 'containerd', 'ctr', 'coredns'] : ['cluster']
  return files.map((file) => join(directory, file))
}

/** True when the tool can be had at once. */
export function isBuilt(name: ToolName): boolean {
  const folder = toolsFolder()
  return folder !== undefined && builtFiles(folder, name).every(isExecutable)
}

/**
 * The path of a tool, built first where that was not done yet.
 * @throws ToolMissing where the machine has no tools, or cannot build this one (`get` exits 3)
 */
export function tool(name: ToolName): string {
  const folder = toolsFolder()
  if (!folder) throw new ToolMissing('there is no ../shared/tools beside this checkout')
  try {
    return execFileSync(join(folder, 'get'), [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim()
  } catch (error) {
    throw new ToolMissing(`${name} is not built and cannot be built here`, { cause: error })
  }
}

/** A cluster of our own, until `stop`. */
export interface Cluster {
  /** Holds the cluster's data, logs, and `kubeconfig` (cluster-admin). */
  directory: string
  kubeconfig: string
  stop(): Promise<void>
}

/**
 * Starts a control plane, with `node` a node too (root only), in about 4 and 10 seconds.
 * @throws Error with the last lines of its output when it ends before it is ready or takes more than 2 minutes
 */
export async function startCluster(options: { node: boolean; program: string }): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), 'cluster-'))
  const args = ['up', ...(options.node ? ['--node'] : []), directory]
  const child = spawn(options.program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  await ready(child)
  return {
    directory,
    kubeconfig: join(directory, 'kubeconfig'),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function ready(child: ChildProcess): Promise<void> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`the cluster ${what}:\n${output.slice(-2_000)}`))
    const timer = setTimeout(() => {
      child.kill('SIGTERM')
      fail('was not ready within 2 minutes')
    }, 120_000)
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      if (/^ready$/m.test(output)) {
        clearTimeout(timer)
        resolve()
      }
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('exit', (code) => {
      clearTimeout(timer)
      fail(`ended with ${code}`)
    })
  })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
