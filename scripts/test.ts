/**
 * The runner behind `npm test`, `npm run test:cluster` and `npm run test:node`.
 *
 *   node scripts/test.ts [PATTERN...]   unit tests beside the code, then test/e2e; PATTERN narrows by path
 *   node scripts/test.ts --cluster      the local API's conformance tests, the operator's on an API, and test/cluster,
 *                                       against a real control plane
 *   node scripts/test.ts --node         test/node, on a real node with the real image (root)
 *   --if-built                          with --cluster and --node: skip where the tools would have to be built first
 *   --again                             run the files that failed once more, after the others; what passes then counts as
 *                                       passed, and is told ("FLAKY: ...") with the errors of the first time
 *
 * KUBECONFIG names an existing cluster for --cluster, and NODE_CLUSTER the directory of a running node for --node.
 */

import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, join, relative } from 'node:path'
import { type Cluster, isBuilt, startCluster, ToolMissing, type ToolName, tool } from '../test/cluster-tool.ts'

const repository = join(import.meta.dirname, '..')
/** Files that --again runs once more. Where more fail it is not chance. */
const MOST_AGAIN = 3

const flags = new Set(process.argv.slice(2).filter((argument) => argument.startsWith('--')))
const patterns = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))

const code = flags.has('--cluster') ? await clusterTests() : flags.has('--node') ? await nodeTests() : await allTests()
process.exit(code)

async function allTests(): Promise<number> {
  const unit = files('{operator,server,scripts,test/chart,test/engine}/**/*.test.ts')
  const whole = files('test/e2e/**/*.test.ts')
  const first = await run('unit tests', unit, { concurrency: Math.max(2, availableParallelism()) })
  // Whole-system tests use many processes each, so they follow one another; they also run after a unit failure, which
  // leaves nothing unseen.
  const second = await run('whole-system tests', whole, { concurrency: 1, timeoutMs: 300_000 })
  return first || second
}

async function clusterTests(): Promise<number> {
  const tests = files(
    'operator/local/apiserver/conformance/**/*.test.ts',
    // Those that bring up the operator on testing/cluster.ts, which is this cluster then.
    'operator/api/rules.test.ts',
    'operator/partition.test.ts',
    'operator/mailserver/{claims,data-loss,data-ownership,database,dkim,domain-taken,drift,every-kind,failures,further-certificates,gateway,live-changes,ownership,reconcile,restart,tlsa,upgrading}.test.ts',
    'operator/mailaccount/reconcile.test.ts',
    'test/cluster/**/*.test.ts',
  )
  const given = process.env.KUBECONFIG
  if (given) return run(`cluster tests on ${given}`, tests, { concurrency: 1, env: { KUBECONFIG_UNDER_TEST: given } })
  return withCluster('cluster', false, (cluster) =>
    run('cluster tests', tests, { concurrency: 1, env: { KUBECONFIG_UNDER_TEST: cluster.kubeconfig } }),
  )
}

async function nodeTests(): Promise<number> {
  const tests = files('test/node/**/*.test.ts')
  const on = (directory: string) =>
    run('node tests', tests, { concurrency: 1, timeoutMs: 2_400_000, env: { NODE_CLUSTER: directory } })
  if (process.env.NODE_CLUSTER) return on(process.env.NODE_CLUSTER)
  if (process.getuid?.() !== 0) return skipped('node tests', 'a node needs root')
  return withCluster('node', true, (cluster) => on(cluster.directory))
}

async function withCluster(name: ToolName, node: boolean, tests: (cluster: Cluster) => Promise<number>) {
  if (flags.has('--if-built') && !isBuilt(name)) return skipped(`${name} tests`, `the tool "${name}" is not built here`)
  let program: string
  try {
    program = tool(name)
  } catch (error) {
    if (error instanceof ToolMissing) return skipped(`${name} tests`, error.message)
    throw error
  }
  const cluster = await startCluster({ node, program })
  const interrupted = () => void cluster.stop().then(() => process.exit(130))
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    return await tests(cluster)
  } finally {
    await cluster.stop()
  }
}

function files(...globs: string[]): string[] {
  const found = globSync(globs, { cwd: repository, exclude: ['**/node_modules/**'] }).sort()
  return patterns.length === 0 ? found : found.filter((file) => patterns.some((pattern) => file.includes(pattern)))
}

interface Running {
  /** Files at a time. */
  concurrency: number
  /** For each test. */
  timeoutMs?: number
  env?: Record<string, string>
}

async function run(what: string, tests: string[], options: Running): Promise<number> {
  if (tests.length === 0) {
    console.log(`${what}: there are none`)
    return 0
  }
  console.log(`\n${what}: ${tests.length} files`)
  const { code, failed } = await runFiles(tests, options)
  if (code === 0 || !flags.has('--again') || failed.length === 0 || failed.length > MOST_AGAIN) return code
  if (!failed.every((file) => tests.includes(file))) return code
  console.log(`\n${what} again: ${failed.length} files`)
  const again = await runFiles(failed, { ...options, concurrency: 1 })
  if (again.code === 0) for (const file of failed) console.log(`FLAKY: ${file} failed, and passed when run again`)
  return again.code
}

/** Runs test files in processes of their own. Their PATH begins with this Node, whatever the machine's is. */
async function runFiles(tests: string[], options: Running): Promise<{ code: number; failed: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'tests-'))
  const list = join(directory, 'failed')
  const args = [
    '--test',
    `--test-concurrency=${options.concurrency}`,
    `--test-timeout=${options.timeoutMs ?? 120_000}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(import.meta.dirname, 'failed-files.ts')}`,
    `--test-reporter-destination=${list}`,
    ...tests,
  ]
  const path = [join(process.execPath, '..'), process.env.PATH].join(delimiter)
  const child = spawn(process.execPath, args, {
    cwd: repository,
    stdio: 'inherit',
    env: {
      // Every file is a process of its own: what they import is compiled once.
      NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/node'),
      ...process.env,
      ...options.env,
      PATH: path,
    },
  })
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      console.error(error)
      resolve(1)
    })
    child.once('exit', (exitCode) => resolve(exitCode ?? 1))
  })
  const failed = readFileSync(list, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean)
  rmSync(directory, { recursive: true })
  return { code, failed: failed.map((file) => relative(repository, file)) }
}

function skipped(what: string, why: string): number {
  console.log(`\nSKIPPED: ${what}: ${why}`)
  return 0
}
