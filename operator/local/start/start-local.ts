/**
 * The embedded default: a Kubernetes API, the operator as a process, and the runner in this one, brought up in order and
 * down in reverse. `npm start`, the end-to-end test and the benchmarks all use it.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KubeConfig } from '@kubernetes/client-node'
import { pino } from 'pino'
import { createKubeClient, type KubeApi } from '../../kube/client.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { startApiServer } from '../apiserver/server.ts'
import { freePorts, isFree } from '../free-port.ts'
import { MailServer, startObjectStore } from '../runner/bucket.ts'
import { cnpgClusterCrd } from '../runner/cnpg-crd.ts'
import { openLogFile } from '../runner/log-file.ts'
import { endLeftovers, openProcessTable } from '../runner/process-table.ts'
import { type Runner, startRunner } from '../runner/runner.ts'
import { openServicePorts, PortTaken, type ServicePorts } from '../runner/service-ports.ts'
import { findMinio } from '../s3/minio.ts'
import { type Endpoints, gatherEndpoints, removeEndpoints, writeEndpoints } from './endpoints.ts'
import { takeLock } from './lock.ts'
import { applyAll, fitToThisMachine, namesOf, readManifests } from './manifests.ts'
import { startOperatorProcess } from './operator-process.ts'
import { readState } from './readiness.ts'

export type PortName = 'smtp' | 'submissions' | 'submission' | 'imaps' | 'http' | 'https' | 'metrics' | 'api'

/** Service ports by our names for them; the last two are nobody's, and stand for our own listeners. */
const SERVICE_PORT: Record<PortName, number> = {
  smtp: 25,
  submissions: 465,
  submission: 587,
  imaps: 993,
  http: 8080,
  https: 443,
  metrics: 9464,
  api: 6443,
}

export interface LocalOptions {
  /** State; created with mode 0700. */
  dir: string
  /** Forget earlier runs first. */
  fresh?: boolean
  /** YAML files or directories to apply; without any, the first start applies crds/samples. */
  files?: readonly string[]
  /** Engines per MailServer. */
  replicas?: number
  /** On 127.0.0.1; 0 is a free one. Where absent the usual one, or the next free one after it. */
  ports?: Partial<Record<PortName, number>>
  env?: Record<string, string | undefined>
  /** Told in words what happens. */
  progress?: (message: string) => void
  /** Gives the start up: everything is stopped and startLocal throws. */
  signal?: AbortSignal
}

export interface LocalCluster extends AsyncDisposable {
  endpoints: Endpoints
  /** Of the whole local cluster, with all rights. */
  client: KubeApi
  /** Ends everything within about 15 s; state stays. */
  stop(): Promise<void>
}

/** What is ours in the state directory, and goes with `fresh`. */
const STATE = [
  'api',
  'postgres',
  's3',
  'pods',
  'ports.json',
  'processes.json',
  'kubeconfig',
  'ca.crt',
  'runner.log',
  'operator.log',
  'minio.log',
]
const ENGINE_GRACE_MS = 8_000
const LEFTOVER_GRACE_MS = 5_000
const POLL_MS = 300
/** Said again after this, when nothing changed. */
const REMIND_MS = 30_000

/**
 * Resolves once every MailServer and MailAccount is Ready and `<dir>/endpoints.json` is written.
 * @throws AlreadyRunning, BadManifest, PortTaken, or what else went wrong; nothing is left running then
 */
export async function startLocal(options: LocalOptions): Promise<LocalCluster> {
  const { progress = () => {}, env = process.env, signal } = options
  const directory = resolve(options.dir)
  const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
  const inState = (name: string): string => join(directory, name)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  await using stack = new AsyncDisposableStack()
  stack.use(takeLock(inState('lock'), directory, new Date()))
  removeEndpoints(inState('endpoints.json'))
  const left = await endLeftovers(inState('processes.json'), LEFTOVER_GRACE_MS)
  if (left > 0) progress(`Ended ${left} processes that an earlier run had left`)
  if (options.fresh) {
    for (const name of STATE) rmSync(inState(name), { recursive: true, force: true })
    progress('Forgot everything from earlier runs')
  }
  // Read before anything runs: a typing error should not cost a minute.
  const given = await readManifests(options.files ?? [])
  const logFile = openLogFile(inState('runner.log'))
  stack.defer(() => logFile.close())
  const logger: KubeLogger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, logFile)
  const table = openProcessTable(inState('processes.json'))
  const wanted: Record<number, number> = {}
  for (const [name, port] of Object.entries(options.ports ?? {})) wanted[SERVICE_PORT[name as PortName]] = port
  for (const port of Object.values(wanted)) {
    if (port > 0 && !(await isFree(port))) throw new PortTaken(`port ${port} on 127.0.0.1 is in use by another program`)
  }
  const ports = openServicePorts(inState('ports.json'), wanted, (id, usual, instead) =>
    progress(`Port ${usual} is in use: ${id} is on ${instead}`),
  )

  const api = await startApiServer({
    dir: inState('api'),
    port: await ports.portFor('kubernetes-api', SERVICE_PORT.api),
  })
  stack.defer(() => api.close())
  ports.opened('kubernetes-api', Number(new URL(api.url).port))
  const kubeconfig = inState('kubeconfig')
  await writeFile(`${kubeconfig}.new`, api.kubeconfig, { mode: 0o600 })
  await rename(`${kubeconfig}.new`, kubeconfig)
  const client = openClient(api.kubeconfig)
  stack.use(client)
  progress(`Kubernetes API on ${api.url}`)

  const minio = await findMinio(env.PATH)
  const store = await startObjectStore(inState('s3'), { minio, table, logger, logPath: inState('minio.log') })
  stack.defer(() => store.stop())
  progress(`S3 endpoint on ${store.endpoint}`)

  const crds = await readManifests([join(repositoryRoot, 'crds')])
  await applyAll(client, [...crds, cnpgClusterCrd])
  const { samples, objects } = await whatToApply(client, given, join(repositoryRoot, 'crds', 'samples'))
  const runner = await startTheRunner()
  stack.defer(() => runner.stop(ENGINE_GRACE_MS))
  const operator = startOperatorProcess({
    repositoryRoot,
    env: operatorEnvironment(env, kubeconfig),
    logPath: inState('operator.log'),
    table,
    logger,
    progress,
  })
  stack.defer(() => operator.stop())
  stack.defer(() => removeEndpoints(inState('endpoints.json')))
  progress('Operator started')
  const { replicas } = options
  await applyAll(
    client,
    fitToThisMachine(objects, { store, progress, ...(replicas === undefined ? {} : { replicas }) }),
  )
  if (objects.length > 0) progress(`Applied ${samples ? 'crds/samples' : namesOf(options.files ?? [])}`)
  else progress('Kept what the last run had (--fresh forgets it, -f FILE applies more)')
  if (replicas !== undefined && objects.length === 0) await scaleAll(client, replicas)

  const endpoints = await untilReady()
  const all = stack.move()
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= all.disposeAsync()
    return stopping
  }
  return { endpoints, client, stop, [Symbol.asyncDispose]: stop }

  async function startTheRunner(): Promise<Runner> {
    return startRunner({
      client,
      directory,
      repositoryRoot,
      table,
      store,
      ports,
      metricsPort: await metricsPort(ports),
      env,
      // A Pod here shares the machine with its sister and with everything else.
      workers: Math.max(1, Math.floor(availableParallelism() / 2)),
      logger,
      progress,
    })
  }

  /** Looks until nothing is missing, and tells what is when that changes. */
  async function untilReady(): Promise<Endpoints> {
    let told = ''
    let toldAt = 0
    for (;;) {
      signal?.throwIfAborted()
      const state = await readState(client, runner.pods(), runner.localPorts, (pod) =>
        inState(join('pods', pod.metadata.name, 'engine.log')),
      )
      const [server] = state.servers
      if (state.waitingFor.length === 0 && server) {
        const found = await gatherEndpoints(client, runner, server, state.accounts, { directory, kubeconfig })
        await writeEndpoints(inState('endpoints.json'), found)
        return found
      }
      const text = state.waitingFor.join('\n')
      if (text !== told || Date.now() - toldAt > REMIND_MS) {
        for (const line of state.waitingFor)
          if (text === told || !told.split('\n').includes(line)) progress(`Waiting for ${line}`)
        told = text
        toldAt = Date.now()
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
}

function openClient(kubeconfigText: string): KubeApi {
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(kubeconfigText)
  // Our own API on loopback: no need to be shy.
  return createKubeClient({ kubeConfig, userAgent: 'local-runner/0.1.0', qps: 500, burst: 1000 })
}

async function whatToApply(client: KubeApi, given: Awaited<ReturnType<typeof readManifests>>, samples: string) {
  if (given.length > 0) return { samples: false, objects: given }
  const { items } = await client.list(MailServer)
  // What people changed since stays as they left it.
  return items.length > 0 ? { samples: false, objects: [] } : { samples: true, objects: await readManifests([samples]) }
}

async function scaleAll(client: KubeApi, replicas: number): Promise<void> {
  for (const { metadata } of (await client.list(MailServer)).items) {
    await client.mergePatch(
      MailServer,
      { namespace: metadata.namespace ?? '', name: metadata.name },
      { spec: { replicas } },
    )
  }
}

async function metricsPort(ports: ServicePorts): Promise<number> {
  const port = await ports.portFor('metrics', SERVICE_PORT.metrics)
  const chosen = port === 0 ? ((await freePorts(1))[0] ?? 0) : port
  ports.opened('metrics', chosen)
  return chosen
}

/** What the operator's Deployment would say, for this machine, where the lock sees to it that there is one operator only. */
function operatorEnvironment(env: Record<string, string | undefined>, kubeconfig: string): Record<string, string> {
  const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ'].flatMap((name) => {
    const value = env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(inherited),
    KUBECONFIG: kubeconfig,
    ENGINE_IMAGE: 'mail-operator:local',
    HEALTH_PORT: '0',
    LEADER_ELECTION: 'false',
  }
}
