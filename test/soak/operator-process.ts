/** The operator as a process of its own, measured from outside: its metrics, its CPU time, its memory. Linux only. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../operator/local/free-port.ts'

export interface OperatorProcess extends AsyncDisposable {
  look(): Promise<Look>
  /** Megabytes of live objects, after a collection. */
  heapMb(): Promise<number>
}

/** What is known of the process at one moment. */
export interface Look {
  at: number
  cpuSeconds: number
  rssMb: number
  peakRssMb: number
  /** To the Kubernetes API, but for watches and for what the Lease takes. */
  requests: number
  /** Of those, by verb. */
  byVerb: Record<string, number>
  writes: number
  leaseRequests: number
  watches: number
  reconciles: Record<string, number>
  /** Keys that wait in queues or are worked on. */
  busy: number
}

/** Clock ticks of /proc per second, on every Linux that Node runs on (USER_HZ). */
const TICKS = 100
/** What Node allows itself in a container with the chart's limit of 512 MiB: half of it. */
const HEAP_MB = 256
/** Told by signal: a collection, and how much is left after it. */
const MEASURE = `process.on('SIGUSR2', () => { gc(); gc(); process.stderr.write('heap ' + process.memoryUsage().heapUsed + '\\n') })`

/**
 * Starts operator/main.ts and waits for its health port.
 * @param options.profile a directory for a CPU profile, written when the process ends
 */
export async function startOperatorProcess(options: {
  kubeconfig: string
  env?: Record<string, string>
  profile?: string | undefined
}): Promise<OperatorProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'soak-operator-'))
  const kubeconfig = join(directory, 'kubeconfig')
  await writeFile(kubeconfig, options.kubeconfig, { mode: 0o600 })
  const [port = 0] = await freePorts(1)
  const main = join(import.meta.dirname, '../../operator/main.ts')
  const profiling = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : []
  const measuring = [
    `--max-old-space-size=${HEAP_MB}`,
    '--expose-gc',
    '--import',
    `data:text/javascript,${encodeURIComponent(MEASURE)}`,
  ]
  const child = spawn(process.execPath, [...profiling, ...measuring, main], {
    env: {
      PATH: process.env.PATH ?? '',
      KUBECONFIG: kubeconfig,
      POD_NAME: 'soak',
      HEALTH_PORT: String(port),
      ENGINE_IMAGE: 'registry.example/mail:1',
      LOG_LEVEL: 'warn',
      ...options.env,
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  const stderr = createInterface({ input: child.stderr })
  stderr.on('line', (line) => void (line.startsWith('heap ') || process.stderr.write(`${line}\n`)))
  // A connection each: one that is kept would be closed by the server in the moment in which it is used again.
  const metrics = () => textOf(get({ host: '127.0.0.1', port, path: '/metrics', agent: false }))
  while (!(await metrics().catch(() => undefined))) {
    if (child.exitCode !== null) throw new Error(`the operator ended with ${child.exitCode}`)
    await sleep(100)
  }
  return {
    look: async () => lookAt(child.pid ?? 0, samplesOf(await metrics())),
    async heapMb() {
      const told = once(stderr, 'line')
      child.kill('SIGUSR2')
      const [line] = (await told) as [string]
      return Number(line.replace('heap ', '')) / 1e6
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      if (child.exitCode === null) {
        child.kill('SIGTERM')
        await ended
      }
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function textOf(request: ClientRequest): Promise<string> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return text(response)
}

/** The look at which nothing has been going on for some seconds. */
export async function quiet(operator: OperatorProcess): Promise<Look> {
  for (let before = await operator.look(); ; ) {
    await sleep(5_000)
    const now = await operator.look()
    if (now.requests === before.requests && now.busy === 0) return now
    before = now
  }
}

/** What happened between two looks; memory is that of the second. */
export function since(before: Look, after: Look): Look {
  const less = (a: Record<string, number>, b: Record<string, number>) =>
    Object.fromEntries(Object.entries(a).map(([key, value]) => [key, value - (b[key] ?? 0)]))
  return {
    ...after,
    at: after.at - before.at,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    requests: after.requests - before.requests,
    writes: after.writes - before.writes,
    leaseRequests: after.leaseRequests - before.leaseRequests,
    watches: after.watches - before.watches,
    byVerb: less(after.byVerb, before.byVerb),
    reconciles: less(after.reconciles, before.reconciles),
  }
}

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

function samplesOf(text: string): Sample[] {
  return [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text])),
    value: Number(value),
  }))
}

function lookAt(pid: number, samples: readonly Sample[]): Look {
  const values = (name: string, label: string): Record<string, number> => {
    const sums: Record<string, number> = {}
    for (const { labels, value } of samples.filter((sample) => sample.name === name)) {
      const key = labels[label] ?? ''
      sums[key] = (sums[key] ?? 0) + value
    }
    return sums
  }
  const total = (sums: Record<string, number>) => Object.values(sums).reduce((sum, value) => sum + value, 0)
  const byVerb = values('rest_client_request_duration_seconds_count', 'verb')
  const ended = total(byVerb)
  // Nothing but the Lease is written by PUT, each time after a GET.
  const renewals = byVerb.update ?? 0
  const { update: _, ...rest } = byVerb
  const others: Record<string, number> = { ...rest, get: (byVerb.get ?? 0) - renewals }
  // Raw is the look at the served schema, once at the start.
  const { list = 0, get = 0, raw = 0, ...writes } = others
  // Fields 14 and 15 of proc_pid_stat(5), counted behind the command's name, which may hold anything.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const megabytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1000
  return {
    at: performance.now(),
    cpuSeconds: (Number(stat[11]) + Number(stat[12])) / TICKS,
    rssMb: megabytes('VmRSS'),
    peakRssMb: megabytes('VmHWM'),
    requests: list + get + raw + total(writes),
    byVerb: others,
    writes: total(writes),
    leaseRequests: 2 * renewals,
    watches: total(values('rest_client_requests_total', 'method')) - ended,
    reconciles: values('controller_runtime_reconcile_total', 'controller'),
    busy: total(values('workqueue_depth', 'name')) + total(values('controller_runtime_active_workers', 'controller')),
  }
}
