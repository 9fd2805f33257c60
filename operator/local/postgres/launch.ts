/**
 * Runs a private Postgres on a loopback port: creates the data directory when it is new, starts the server, waits until it
 * answers, stops it. Postgres refuses to run as root, so root starts it as the owner of the data directory (`nobody` for a
 * new one). What databases and roles are in it is the caller's business.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePorts } from '../free-port.ts'
import { findPostgresBinaries, othersMayEnter } from './binaries.ts'

const NOBODY = 65534
const INITDB_DEADLINE_MS = 60_000
/** Crash recovery of a large database takes a while. */
const START_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 30_000
const PORT_ATTEMPTS = 5

/** What the launcher logs to; a pino logger is one. */
export interface LaunchLogger {
  debug(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface LaunchOptions {
  /** Created when missing. Owned by the user that Postgres runs as. */
  dataDir: string
  /** On 127.0.0.1; a free one when absent. */
  port?: number
  /** postgresql.conf settings, by name, for this run. */
  settings?: Record<string, string>
  /** Of the role `postgres`; set when the data directory is created, kept afterwards. */
  superuserPassword: string
  logger: LaunchLogger
}

export interface RunningPostgres extends AsyncDisposable {
  port: number
  pid: number
  /** postgres:// URL of a database of this server, as the superuser. */
  url(database?: string): string
  /** Settles when the server has ended, asked or not. */
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Fast shutdown: open transactions are rolled back, committed ones are safe. SIGQUIT after a deadline. */
  stop(): Promise<void>
}

/** Postgres did not come up; the message ends with what it said. */
export class PostgresFailed extends Error {
  override name = 'PostgresFailed'
}

/**
 * Starts Postgres and returns once it accepts connections. It ends with this process, also when that is killed.
 * @throws PostgresFailed with the server's last words
 */
export async function launchPostgres(options: LaunchOptions): Promise<RunningPostgres> {
  const { dataDir, logger, superuserPassword } = options
  const owner = await prepareDataDir(dataDir)
  await using cleanup = new AsyncDisposableStack()
  const binaries = cleanup.use(await findPostgresBinaries(owner))
  // A directory below /root cannot be entered by `nobody`. The kernel follows /proc/self/cwd without walking the path,
  // and the working directory is entered before the user changes.
  const pgdata = owner !== undefined && !(await othersMayEnter(dirname(dataDir))) ? '/proc/self/cwd' : dataDir
  const spawnOptions = { cwd: dataDir, env: childEnvironment(), ...owner }
  if (!(await exists(join(dataDir, 'PG_VERSION')))) {
    await createCluster(binaries.initdb, pgdata, superuserPassword, spawnOptions, owner)
  }
  const deadline = Date.now() + START_DEADLINE_MS
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePorts(1))[0] ?? 0
    const args = ['-D', pgdata, '-p', String(port), '-c', 'listen_addresses=127.0.0.1']
    const settings = { unix_socket_directories: '', lc_messages: 'C', ...options.settings }
    for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`)
    // Its own process group: Ctrl-C in a terminal must not stop the database before its clients have finished.
    const child = spawn(binaries.postgres, args, {
      ...spawnOptions,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const said = followLog(child, logger)
    const outcome = await waitUntilReady(child, said, deadline)
    if (outcome === 'ready' && child.pid !== undefined) {
      const resources = cleanup.move()
      return running(child, port, superuserPassword, stopWithParent(child.pid, owner, binaries.copy), resources)
    }
    const lastWords = said.last.map(withoutStamp).join('\n')
    const portTaken = /could not bind|address already in use/i.test(lastWords) && options.port === undefined
    // The server of a run that was killed is still on its way out.
    const lockHeld = /lock file "postmaster.pid" already exists/.test(lastWords)
    if (portTaken && attempt < PORT_ATTEMPTS) continue
    if (lockHeld && Date.now() < deadline - START_DEADLINE_MS / 2) {
      await new Promise((resolve) => setTimeout(resolve, 250))
      continue
    }
    throw new PostgresFailed(`Postgres did not start on port ${port}: ${lastWords || outcome}`)
  }
}

type Owner = { uid: number; gid: number } | undefined

/** @returns the user to run as; undefined is this process's own */
async function prepareDataDir(dataDir: string): Promise<Owner> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  if (process.getuid?.() !== 0) return undefined
  const { uid, gid } = await stat(dataDir)
  if (uid !== 0) return { uid, gid }
  await chown(dataDir, NOBODY, NOBODY)
  return { uid: NOBODY, gid: NOBODY }
}

function childEnvironment(): NodeJS.ProcessEnv {
  const { PATH, TMPDIR } = process.env
  return { PATH, TMPDIR, LC_ALL: 'C', TZ: 'UTC' }
}

async function createCluster(
  initdb: string,
  pgdata: string,
  password: string,
  spawnOptions: { cwd: string },
  owner: Owner,
): Promise<void> {
  const passwordDir = await mkdtemp(join(tmpdir(), 'postgres-password-'))
  try {
    const passwordFile = join(passwordDir, 'password')
    await writeFile(passwordFile, `${password}\n`, { mode: 0o400 })
    if (owner) for (const path of [passwordDir, passwordFile]) await chown(path, owner.uid, owner.gid)
    await runInitdb(initdb, pgdata, passwordFile, spawnOptions)
  } finally {
    await rm(passwordDir, { recursive: true, force: true })
  }
}

async function runInitdb(initdb: string, pgdata: string, passwordFile: string, spawnOptions: { cwd: string }) {
  const args = [
    `--pgdata=${pgdata}`,
    '--username=postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    // As CloudNativePG creates its databases, so that nothing here comes to depend on a richer collation.
    '--locale=C',
    '--no-instructions',
  ]
  const child = spawn(initdb, args, { ...spawnOptions, stdio: ['ignore', 'pipe', 'pipe'], timeout: INITDB_DEADLINE_MS })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-4096)
    })
  }
  const [code, signal] = await once(child, 'close')
  if (code !== 0) throw new PostgresFailed(`initdb failed (${code ?? signal}): ${output.trim()}`)
}

interface Said {
  last: string[]
  ready: Promise<void>
}

function followLog(child: ChildProcess, logger: LaunchLogger): Said {
  const ready = Promise.withResolvers<void>()
  const said: Said = { last: [], ready: ready.promise }
  if (!child.stderr) return said
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.last = [...said.last.slice(-9), line]
    if (line.includes('database system is ready to accept connections')) ready.resolve()
    if (/ (PANIC|FATAL): /.test(line)) logger.warn({ postgres: line }, 'postgres')
    else logger.debug({ postgres: line }, 'postgres')
  })
  return said
}

/** The same trouble is told in the same words: a time and a pid would make each try look new to whoever watches a status. */
function withoutStamp(line: string): string {
  return line.replace(/^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[\d+\] /, '')
}

async function waitUntilReady(child: ChildProcess, said: Said, deadline: number): Promise<string> {
  const timer = Promise.withResolvers<string>()
  const timeout = setTimeout(() => timer.resolve('it did not answer in time'), Math.max(1, deadline - Date.now()))
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(`it ended (${code ?? signal})`))
  })
  const outcome = await Promise.race([said.ready.then(() => 'ready'), ended, timer.promise])
  clearTimeout(timeout)
  if (outcome !== 'ready') child.kill('SIGQUIT')
  return outcome
}

function running(
  child: ChildProcess,
  port: number,
  password: string,
  guard: ChildProcess,
  resources: AsyncDisposableStack,
): RunningPostgres {
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => {
      guard.kill('SIGKILL')
      resolve({ code, signal })
    })
  })
  let stopping: Promise<void> | undefined
  const stop = async () => {
    child.kill('SIGINT')
    const force = setTimeout(() => child.kill('SIGQUIT'), STOP_DEADLINE_MS)
    await exited
    clearTimeout(force)
    await resources.disposeAsync()
  }
  const stopOnce = () => (stopping ??= stop())
  return {
    port,
    pid: child.pid ?? 0,
    url: (database = 'postgres') => `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`,
    exited,
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  }
}

/**
 * A shell that waits for this process's end of a pipe to close, which happens however this process dies. Then it stops the
 * server and removes the copied programs.
 */
function stopWithParent(pid: number, owner: Owner, copy: string | undefined): ChildProcess {
  const script = 'read -r _; kill -INT "$1"; while kill -0 "$1"; do sleep 1; done; [ -z "$2" ] || rm -rf "$2"'
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(pid), copy ?? ''], {
    ...owner,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.on('error', () => {}) // no shell: the database then outlives a killed parent, and the next start waits for it
  guard.unref()
  const { stdin } = guard
  stdin?.on('error', () => {})
  if (stdin && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
  return guard
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
