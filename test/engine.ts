/**
 * The true engine for whole-system tests: `server/main.ts` in a process of its own, on a real Postgres, with a generated
 * certificate and a temporary root directory. Everything ends with the test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../operator/local/free-port.ts'
import type { AccountSpec } from '../server/accounts/accounts.ts'
import type { EngineConfigInput } from '../server/config.ts'
import { selfSigned } from './certificate.ts'
import { startTestPostgres } from './postgres.ts'

export type PortName = 'smtp' | 'smtps' | 'submission' | 'imaps' | 'jmap'
export type Ports = Record<PortName, number>

export interface EngineOptions {
  domains?: string[]
  /** Created through the admin API. Default: alice and bob of the first domain, password 'secret'. */
  accounts?: AccountSpec[]
  config?: Partial<EngineConfigInput>
  workers?: number
  /** postgres:// URL; a fresh database of the shared test server when absent. */
  databaseUrl?: string
  /** False: return at once, whether it becomes ready or not; accounts are the caller's then. */
  waitUntilReady?: boolean
}

export interface Readyz {
  ready: boolean
  checks: Record<string, string>
}

export interface Engine extends AsyncDisposable {
  ports: Ports
  /** http://127.0.0.1:port */
  http: string
  databaseUrl: string
  rootDirectory: string
  /** The certificate, which is its own authority. */
  caFile: string
  adminToken: string
  /** The process that was spawned last: the primary, when there are workers. */
  readonly process: ChildProcess
  /** What it has logged, JSON lines. */
  log(): Promise<string>
  /** undefined while nothing answers. */
  readyz(): Promise<Readyz | undefined>
  /** @throws Error with the last report after `deadlineMs` */
  ready(deadlineMs?: number): Promise<void>
  /** Prometheus text. */
  metrics(): Promise<string>
  putAccount(spec: AccountSpec): Promise<void>
  writeConfig(config: Partial<EngineConfigInput>): Promise<void>
  /** Puts another pair in place, as Kubernetes does: all at once. */
  writeCertificate(pair: { cert: string; key: string }): Promise<void>
  /** Starts the process again after it has ended, on the same ports, root and database. */
  restart(): Promise<void>
  /** SIGTERM and wait. @returns the exit code */
  stop(): Promise<number | null>
}

const ROOT = join(import.meta.dirname, '..')
const READY_MS = 60_000

export async function startEngine(options: EngineOptions = {}): Promise<Engine> {
  await using started = new AsyncDisposableStack()
  const domains = options.domains ?? ['example.org']
  const databaseUrl = options.databaseUrl ?? started.use(await startTestPostgres()).url
  const base = await mkdtemp(join(tmpdir(), 'mail-engine-'))
  started.defer(() => rm(base, { recursive: true, force: true }))
  const rootDirectory = join(base, 'root')
  const adminToken = crypto.randomUUID()
  const caFile = join(rootDirectory, 'tls/tls.crt')
  const place = async (path: string, text: string) => {
    const file = join(rootDirectory, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  const writeConfig = (config: Partial<EngineConfigInput>) => {
    const document: EngineConfigInput = {
      hostname: 'mail.example.org',
      domains: domains.map((name) => ({ name })),
      spam: { enabled: false },
      ...options.config,
      ...config,
    }
    return place('config/config.json', JSON.stringify(document))
  }
  const writeCertificate = async ({ cert, key }: { cert: string; key: string }) => {
    await place('tls/tls.key', key)
    await place('tls/tls.crt', cert)
  }
  await place('admin/token', adminToken)
  await writeCertificate(await selfSigned(['localhost', 'mail.example.org']))
  await writeConfig({})

  const ports = await enginePorts()
  const logFile = join(base, 'engine.log')
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    // Types stripped and code compiled once for all tests: half of a start's time.
    NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/node'),
    STALWART_DATABASE_URL: databaseUrl,
    MAIL_ROOT: rootDirectory,
    MAIL_WORKERS: String(options.workers ?? 1),
    MAIL_LISTEN_ADDRESS: '127.0.0.1',
    POD_NAME: 'test',
    ...Object.fromEntries(
      Object.entries(ports).map(([name, port]) => [`MAIL_PORT_${name.toUpperCase()}`, String(port)]),
    ),
  }
  const launch = () => {
    const child = spawn(process.execPath, [join(ROOT, 'server/main.ts')], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const log = createWriteStream(logFile, { flags: 'a' })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    return child
  }
  let child = launch()
  const ended = () => child.exitCode !== null || child.signalCode !== null
  started.defer(async () => {
    if (ended()) return
    child.kill('SIGKILL') // workers end when their primary does
    await once(child, 'exit')
  })

  const http = `http://127.0.0.1:${ports.jmap}`
  const readyz = async () => {
    try {
      return (await (await fetch(`${http}/readyz`)).json()) as Readyz
    } catch {
      return undefined
    }
  }
  const log = () => readFile(logFile, 'utf8')
  const ready = async (deadlineMs = READY_MS) => {
    let last: Readyz | undefined
    for (const until = Date.now() + deadlineMs; Date.now() < until; await sleep(50)) {
      last = await readyz()
      if (last?.ready) return
      if (ended()) break
    }
    throw new Error(`not ready: ${JSON.stringify(last)}\n${(await log()).slice(-4000)}`)
  }
  const putAccount = async (spec: AccountSpec) => {
    const response = await fetch(`${http}/admin/v1/accounts/${encodeURIComponent(spec.address)}`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${adminToken}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(spec),
    })
    if (!response.ok) throw new Error(`PUT account: ${response.status} ${await response.text()}`)
  }
  if (options.waitUntilReady !== false) {
    await ready()
    const accounts =
      options.accounts ??
      ['alice', 'bob'].map((name) => ({ address: `${name}@${domains[0]}`, aliases: [], password: 'secret' }))
    for (const account of accounts) await putAccount(account)
  }
  const owned = started.move()
  return {
    ports,
    http,
    databaseUrl,
    rootDirectory,
    caFile,
    adminToken,
    get process() {
      return child
    },
    log,
    readyz,
    ready,
    metrics: async () => (await fetch(`${http}/metrics`)).text(),
    putAccount,
    writeConfig,
    writeCertificate,
    async restart() {
      child = launch()
      await ready()
    },
    async stop() {
      if (ended()) return child.exitCode
      child.kill('SIGTERM')
      await once(child, 'exit')
      return child.exitCode
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Ports that were free a moment ago, all different. */
async function enginePorts(): Promise<Ports> {
  const names: PortName[] = ['smtp', 'smtps', 'submission', 'imaps', 'jmap']
  const ports = await freePorts(names.length)
  return Object.fromEntries(names.map((name, index) => [name, ports[index] ?? 0])) as Ports
}
