/**
 * Our side of a measurement: the engine's own program on a durable Postgres (fsync on, as the peer), filters off, until
 * SIGTERM. Writes the same endpoints file as the peer. Usage: node test/bench/ours.ts --out FILE [--accounts 50] [--workers 2]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { freePorts } from '../../operator/local/free-port.ts'
import { launchPostgres } from '../../operator/local/postgres/launch.ts'
import { selfSigned } from '../certificate.ts'
import { enterCgroup, makeAccountingCgroup, removeCgroup } from './accounting.ts'
import type { BenchEndpoints } from './endpoints.ts'

const { values: flags } = parseArgs({
  options: {
    out: { type: 'string' },
    accounts: { type: 'string', default: '50' },
    workers: { type: 'string', default: '2' },
  },
})
if (!flags.out) throw new Error('ours: --out FILE is needed')
const out = flags.out
const repository = resolve(import.meta.dirname, '../..')
const DOMAIN = 'example.org'

const base = mkdtempSync(join(tmpdir(), 'mail-bench-'))
chmodSync(base, 0o755)
const cgroup = makeAccountingCgroup(base.split('/').at(-1) ?? 'mail-bench')
if (cgroup) enterCgroup(cgroup)

const logger = pino({ level: 'warn' })
await using postgres = await launchPostgres({
  dataDir: join(base, 'postgres'),
  superuserPassword: 'bench',
  settings: { shared_buffers: '512MB', max_wal_size: '4GB' },
  logger,
})
const ports = await freePorts(5)
const [smtp = 0, smtps = 0, submission = 0, imaps = 0, jmap = 0] = ports
const root = join(base, 'root')
for (const directory of ['config', 'tls', 'admin']) mkdirSync(join(root, directory), { recursive: true })
const certificate = await selfSigned([`mx.${DOMAIN}`, 'localhost'])
writeFileSync(join(root, 'tls/tls.crt'), certificate.cert)
writeFileSync(join(root, 'tls/tls.key'), certificate.key, { mode: 0o600 })
writeFileSync(join(root, 'admin/token'), 'bench', { mode: 0o600 })
writeFileSync(
  join(root, 'config/config.json'),
  JSON.stringify({
    hostname: `mx.${DOMAIN}`,
    domains: [{ name: DOMAIN }],
    listeners: { address: '127.0.0.1', smtp, smtps, submission, imaps, jmap },
    spam: { enabled: false },
    logLevel: 'info',
  }),
)

const engine = spawn(process.execPath, ['server/main.ts'], {
  cwd: repository,
  env: {
    PATH: process.env.PATH,
    // For profiles: NODE_OPTIONS='--cpu-prof --cpu-prof-dir=DIR'.
    NODE_OPTIONS: process.env.NODE_OPTIONS ?? '',
    STALWART_DATABASE_URL: postgres.url('postgres'),
    MAIL_ROOT: root,
    MAIL_WORKERS: flags.workers,
    POD_NAME: 'bench',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const log = createWriteStream(join(base, 'engine.log'))
engine.stdout.pipe(log)
const ended = once(engine, 'exit')

const http = `http://127.0.0.1:${jmap}`
await until(async () => (await fetch(`${http}/readyz`)).ok, 60_000)
const accounts = Array.from({ length: Number(flags.accounts) }, (_, i) => ({
  address: `u${i}@${DOMAIN}`,
  password: `secret-${i}`,
}))
for (const account of accounts) {
  const answer = await fetch(`${http}/admin/v1/accounts/${account.address}`, {
    method: 'PUT',
    headers: { authorization: 'Bearer bench', 'content-type': 'application/json' },
    body: JSON.stringify({ ...account, aliases: [] }),
  })
  if (!answer.ok) throw new Error(`ours: account ${account.address}: ${answer.status} ${await answer.text()}`)
}

const endpoints: BenchEndpoints = {
  smtp: { host: '127.0.0.1', port: smtp },
  imaps: { host: '127.0.0.1', port: imaps },
  http: { host: '127.0.0.1', port: jmap },
  accounts,
  caFile: join(root, 'tls/tls.crt'),
  bench: { name: 'ours', cgroup: cgroup ?? null },
}
writeFileSync(out, JSON.stringify(endpoints, null, 1))

await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT'), ended])
rmSync(out, { force: true })
engine.kill('SIGTERM')
await ended
await postgres.stop()
rmSync(base, { recursive: true, force: true })
if (cgroup) removeCgroup(cgroup)

async function until(condition: () => Promise<boolean>, deadlineMs: number): Promise<void> {
  const end = Date.now() + deadlineMs
  for (;;) {
    if (await condition().catch(() => false)) return
    if (Date.now() > end) throw new Error('ours: the engine did not become ready')
    await new Promise((done) => setTimeout(done, 200))
  }
}
