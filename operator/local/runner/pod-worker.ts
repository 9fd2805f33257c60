/**
 * One Pod as one process: prepared, started, probed, restarted when it ends (unless it was to run once), stopped
 * gracefully; its status told to the API. What the kubelet does, for a container whose image is this repository.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isKubeError } from '../../kube/errors.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { keyOf, Pod as PodResource } from '../../kube/resources.ts'
import type { KubeClient } from '../../kube/types.ts'
import { freePorts } from '../free-port.ts'
import { openLogFile } from './log-file.ts'
import {
  type Container,
  hasEnded,
  kubeTime,
  PID_ANNOTATION,
  PORTS_ANNOTATION,
  type Pod,
  PROCESS_FINALIZER,
} from './objects.ts'
import { environmentOf } from './pod-environment.ts'
import { NotYet, type ObjectLookup, writeVolumes } from './pod-files.ts'
import { type PodFacts, podStatus } from './pod-status.ts'
import { type Prober, startProber } from './probes.ts'
import { type Exit, type RunningProcess, startProcess } from './process.ts'
import type { ProcessTable } from './process-table.ts'
import { prepareTermination, terminatedState } from './termination.ts'

/** Between restarts: at once, then growing. The kubelet's begin at 10 s and end at 5 min, which no laptop has patience for. */
const RESTART_BASE_MS = 1_000
const RESTART_MAX_MS = 30_000
/** A process that ran so long is forgiven its earlier failures. */
const STEADY_MS = 60_000
const RETRY_PREPARE_MS = 2_000
const STATUS_RETRY_MS = 1_000

export interface PodWorkerDeps {
  client: KubeClient
  logger: KubeLogger
  table: ProcessTable
  lookup: ObjectLookup
  /** Directory of this Pod: its log and the root of its volumes. */
  directory: string
  /** Stands for the image's working directory. */
  repositoryRoot: string
  inherited: Record<string, string | undefined>
  workers: number
  now: () => Date
  /** Told in words when a process ends unasked. */
  progress: (message: string) => void
}

export interface PodWorker {
  /** The object as it is now; a deletionTimestamp ends the worker and then the object. */
  update(pod: Pod): void
  /** A Secret or ConfigMap that it uses has changed. */
  refresh(): void
  /** Ends the process: the object is gone, or the runner stops. `hurry` leaves preStop out. */
  stop(options: { hurry: boolean; graceMs?: number }): Promise<void>
  /** Settles when nothing of it runs any more. */
  readonly ended: Promise<void>
}

export function startPodWorker(first: Pod, deps: PodWorkerDeps): PodWorker {
  const { client, logger, now } = deps
  const key = keyOf(first)
  const root = join(deps.directory, 'root')
  const container = first.spec.containers[0]
  const log = openLogFile(join(deps.directory, `${container?.name ?? 'container'}.log`))
  const stopping = Promise.withResolvers<{ hurry: boolean; graceMs?: number }>()
  let isStopping = false
  let pod = first
  let wake: (() => void) | undefined
  let facts: PodFacts = {
    state: { waiting: { reason: 'ContainerCreating' } },
    restartCount: (first.status?.containerStatuses?.[0]?.restartCount ?? -1) + 1, // counts across runs, as after a reboot
    started: false,
    ready: false,
  }
  let ports: Record<string, number> = {}
  let volumes: Promise<void> = Promise.resolve()
  let written = first.status
  let writing: Promise<void> | undefined
  let dirty = false
  let finished = hasEnded(first) // in an earlier run, which got no further than to say so

  function set(change: Partial<PodFacts>): void {
    facts = { ...facts, ...change }
    dirty = true
    writing ??= writeStatus().finally(() => {
      writing = undefined
    })
  }

  async function writeStatus(): Promise<void> {
    while (dirty) {
      dirty = false
      const status = podStatus(pod, facts, written, now())
      try {
        const answer = await client.mergePatch<Pod>(PodResource, key, { status }, { subresource: 'status' })
        written = answer.status
      } catch (error) {
        if (isKubeError(error, 'NotFound')) return
        logger.warn({ err: error, pod: key.name }, 'pod status not written')
        dirty = !isStopping
        await pause(STATUS_RETRY_MS)
      }
    }
  }

  async function annotate(annotations: Record<string, string | null>): Promise<void> {
    try {
      await client.mergePatch(PodResource, key, { metadata: { annotations } })
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) logger.warn({ err: error, pod: key.name }, 'pod not annotated')
    }
  }

  /** Waits, unless something happens that is worth a look. */
  function pause(ms: number): Promise<unknown> {
    const waited = Promise.withResolvers<void>()
    wake = waited.resolve
    const timer = setTimeout(waited.resolve, ms)
    return Promise.race([waited.promise, stopping.promise]).finally(() => clearTimeout(timer))
  }

  async function run(): Promise<void> {
    let failures = 0
    while (!isStopping && !finished) {
      const startedAt = now()
      let running: RunningProcess
      try {
        running = await launch(container)
      } catch (error) {
        const reason = error instanceof NotYet ? 'CreateContainerConfigError' : 'RunContainerError'
        const message = error instanceof Error ? error.message : String(error)
        if (!(error instanceof NotYet)) logger.error({ err: error, pod: key.name }, 'process not started')
        set({ state: { waiting: { reason, message } }, started: false, ready: false })
        await pause(RETRY_PREPARE_MS)
        continue
      }
      const exit = await attend(running, startedAt)
      if (isStopping) return
      const terminated = await terminatedState(exit, { startedAt, finishedAt: now(), container, root, log })
      if (!startsAgain(pod, exit)) {
        logger.info({ pod: key.name, pid: running.pid, ...exit, log: log.path }, 'process ended, its Pod with it')
        set({ state: { terminated }, started: false, ready: false })
        finished = true
        return
      }
      failures = now().getTime() - startedAt.getTime() > STEADY_MS ? 0 : failures + 1
      const waitMs = failures <= 1 ? 0 : Math.min(RESTART_MAX_MS, RESTART_BASE_MS * 2 ** (failures - 2))
      logger.warn(
        { pod: key.name, pid: running.pid, ...exit, waitMs, log: log.path, last: log.lastLines().slice(-3) },
        'process ended, starting it again',
      )
      deps.progress(`${key.name} ended (${exit.signal ?? exit.code}) and is started again; see ${log.path}`)
      set({
        state: {
          waiting: { reason: 'CrashLoopBackOff', message: `back-off ${waitMs} ms restarting failed container` },
        },
        lastState: { terminated },
        restartCount: facts.restartCount + 1,
        started: false,
        ready: false,
      })
      if (waitMs > 0) await pause(waitMs)
    }
  }

  async function launch(spec: Container | undefined): Promise<RunningProcess> {
    if (!spec || pod.spec.containers.length !== 1) throw new NotYet('exactly one container can be run here')
    const [program, ...args] = [...(spec.command ?? []), ...(spec.args ?? [])]
    if (program !== 'node') throw new NotYet(`only the command "node" can be run here, not "${program ?? ''}"`)
    await updateVolumes(spec)
    const names = (spec.ports ?? []).map(({ name, containerPort }) => name ?? String(containerPort))
    const free = await freePorts(names.length)
    ports = Object.fromEntries(names.map((name, index) => [name, free[index] ?? 0]))
    await prepareTermination(spec, root)
    const env = environmentOf(pod, spec, { ...deps, root, ports })
    const running = await startProcess({
      command: process.execPath,
      args,
      cwd: deps.repositoryRoot,
      env,
      log,
      table: deps.table,
    })
    await annotate({ [PID_ANNOTATION]: String(running.pid), [PORTS_ANNOTATION]: JSON.stringify(ports) })
    logger.info({ pod: key.name, pid: running.pid }, 'process started')
    return running
  }

  /** Probes the process until it ends, is to end, or fails its liveness probe. */
  async function attend(running: RunningProcess, startedAt: Date): Promise<Exit> {
    const { startupProbe, readinessProbe, livenessProbe } = container ?? { name: '' }
    const probers: Prober[] = []
    const unhealthy = Promise.withResolvers<'unhealthy'>()
    const fail = (message: string): void => {
      log.write(`runner: ${message}\n`)
      unhealthy.resolve('unhealthy')
    }
    const afterStartup = (): void => {
      set({ started: true, ready: !readinessProbe })
      if (readinessProbe) {
        probers.push(startProber(readinessProbe, portOf, (ready, message) => set({ ready, message })))
      }
      if (livenessProbe) {
        probers.push(
          startProber(livenessProbe, portOf, (alive, why) => !alive && fail(`liveness probe failed: ${why}`)),
        )
      }
    }
    set({ state: { running: { startedAt: kubeTime(startedAt) } }, started: !startupProbe, ready: false, message: '' })
    if (startupProbe) {
      const startup = startProber(startupProbe, portOf, (passed, message) => {
        startup.stop()
        if (passed) afterStartup()
        else fail(`startup probe failed: ${message}`)
      })
      probers.push(startup)
    } else afterStartup()
    const what = await Promise.race([running.exited, unhealthy.promise, stopping.promise.then(() => 'stop' as const)])
    if (what === 'stop') {
      set({ ready: false, message: 'the Pod is being stopped' })
      for (const prober of probers) prober.stop()
      return finish(running)
    }
    for (const prober of probers) prober.stop()
    if (what !== 'unhealthy') return what
    set({ ready: false })
    return running.stop(graceMs())
  }

  /** preStop, SIGTERM, and SIGKILL when the grace period is over, which counts from the beginning. */
  async function finish(running: RunningProcess): Promise<Exit> {
    const { hurry, graceMs: given } = await stopping.promise
    const grace = given ?? graceMs()
    const sleepMs = hurry ? 0 : Math.min(grace, (container?.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000)
    if (sleepMs > 0) {
      const timer = Promise.withResolvers<void>()
      const timeout = setTimeout(timer.resolve, sleepMs)
      await Promise.race([timer.promise, running.exited])
      clearTimeout(timeout)
    }
    return running.stop(Math.max(2_000, grace - sleepMs))
  }

  /** One writer at a time: each removes what is not its own version. */
  function updateVolumes(spec: Container): Promise<void> {
    const write = (): Promise<void> => writeVolumes(pod, spec, root, deps.lookup)
    const mine = volumes.then(write, write)
    volumes = mine
    return mine
  }

  function graceMs(): number {
    return (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000
  }

  function portOf(port: number | string): number | undefined {
    const named = container?.ports?.find(({ containerPort, name }) => containerPort === port || name === port)
    return named && ports[named.name ?? String(named.containerPort)]
  }

  async function end(): Promise<void> {
    await writing
    await volumes.catch(() => {}) // told where it was asked for
    await rm(root, { recursive: true, force: true }) // copies of Secrets
    if (finished || pod.metadata.deletionTimestamp !== undefined) await letGo()
    else await annotate({ [PID_ANNOTATION]: null, [PORTS_ANNOTATION]: null })
    log.close()
  }

  /** Tells the API that the process is gone: the finalizer held the object for it. */
  async function letGo(): Promise<void> {
    const finalizers = (pod.metadata.finalizers ?? []).filter((name) => name !== PROCESS_FINALIZER)
    const annotations = { [PID_ANNOTATION]: null, [PORTS_ANNOTATION]: null }
    const metadata = { uid: pod.metadata.uid, finalizers, annotations }
    await client.mergePatch(PodResource, key, { metadata }).catch((error) => {
      if (!isKubeError(error, 'NotFound', 'Conflict')) logger.warn({ err: error, pod: key.name }, 'pod not let go')
    })
  }

  function requestStop(options: { hurry: boolean; graceMs?: number }): void {
    isStopping = true
    stopping.resolve(options)
  }

  if (pod.metadata.deletionTimestamp !== undefined) requestStop({ hurry: true })
  const ended = run()
    .catch((error) => logger.error({ err: error, pod: key.name }, 'pod worker failed'))
    .then(end)
    .catch((error) => logger.error({ err: error, pod: key.name }, 'pod not cleaned up'))

  return {
    ended,
    update(next) {
      pod = next
      if (next.metadata.deletionTimestamp !== undefined && !isStopping) requestStop({ hurry: false })
    },
    refresh() {
      wake?.()
      if (!container || isStopping) return
      updateVolumes(container).catch((error) => {
        if (!(error instanceof NotYet)) logger.warn({ err: error, pod: key.name }, 'volumes not updated')
      })
    },
    async stop(options) {
      requestStop(options)
      await ended
    },
  }
}

/** What the Pod's restartPolicy says of a container that has ended. */
function startsAgain(pod: Pod, exit: Exit): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always'
  return policy === 'Always' || (policy === 'OnFailure' && exit.code !== 0)
}
