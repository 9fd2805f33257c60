/** What a process of the engine has before its database: configuration, certificate, HTTP for health and metrics. */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { type EngineConfig, type EngineEnvironment, engineConfigSchema } from '../config.ts'
import { createHttpMetrics } from '../http/metrics.ts'
import { createHttpServer, type HttpServer } from '../http/server.ts'
import { acceptSessions, type Listener } from '../listener/accept.ts'
import { createListenerMetrics, type ListenerMetrics } from '../listener/metrics.ts'
import { type CertificateSource, type PairFiles, watchCertificate } from '../listener/tls.ts'
import { healthRoutes } from './health.ts'
import { type LiveConfig, watchConfig } from './live-config.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import type { StopSignal } from './stop-signal.ts'
import { openWorkerChannel } from './worker-channel.ts'

export interface Host extends AsyncDisposable {
  environment: EngineEnvironment
  config: LiveConfig
  certificate: CertificateSource
  readiness: Readiness
  registry: Registry
  http: HttpServer
  /** The ports of HTTP; that of the cluster is the first. */
  httpListeners: Listener[]
  listenerMetrics: ListenerMetrics
  /** To be called when the parts serve. */
  serving(): void
  /** Where to listen: environment over configuration. */
  listeners(): EngineConfig['listeners']
}

/** HTTP answers when this returns, ready or not. @throws the bind error of the HTTP port */
export async function startHost(
  environment: EngineEnvironment,
  { log, stop }: { log: Logger; stop: StopSignal },
): Promise<Host> {
  await using started = new AsyncDisposableStack()
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const below = (path: string) => join(environment.rootDirectory, path)

  const config = started.use(
    await watchConfig({ file: below('config/config.json'), log: log.child({ component: 'config' }), registry }),
  )
  // Before the parts make loggers of their own, which keep the level they are made with.
  if (config.current()) log.level = config.view.logLevel
  const listeners = () => ({
    ...engineConfigSchema.shape.listeners.parse(config.current()?.listeners),
    ...environment.ports,
    ...(environment.listenAddress === undefined ? {} : { address: environment.listenAddress }),
  })
  const tls = () => config.current()?.tls ?? engineConfigSchema.shape.tls.parse(undefined)
  const pairBelow = ({ certFile, keyFile }: PairFiles) => ({ certFile: below(certFile), keyFile: below(keyFile) })
  const certificate = started.use(
    await watchCertificate({
      files: () => pairBelow(tls()),
      additional: () => tls().additional.map(pairBelow),
      log: log.child({ component: 'tls' }),
      registry,
    }),
  )

  const readiness = createReadiness()
  readiness.set('tls', () => {
    if (!certificate.current()) throw new Error(certificate.problem())
  })
  const http = started.use(
    createHttpServer({ metrics: createHttpMetrics(registry), log: log.child({ component: 'http' }) }),
  )
  const listenerMetrics = createListenerMetrics(registry)
  const { address, jmap } = listeners()
  const httpListener = started.use(
    await acceptSessions({
      name: 'jmap',
      address,
      port: jmap,
      tls: 'detect',
      alpnProtocols: ['http/1.1'],
      certificate,
      trustedNetworks: () => config.current()?.proxyProtocol.trustedNetworks ?? [],
      limits: () => config.current()?.limits ?? { sessionsPerProcess: 100, sessionsPerAddress: 100 },
      onSession: (socket, session) => http.serve(socket, session),
      metrics: listenerMetrics,
      log: log.child({ component: 'http' }),
    }),
  )
  const channel = openWorkerChannel({ registry, stop })
  // Any worker may be asked, and answers for the pod: the others have to serve too.
  readiness.set('workers', () => {
    if (!channel.allServing()) throw new Error('not all worker processes serve yet')
  })
  http.routes.push(...healthRoutes({ readiness, metrics: () => channel.metrics(), contentType: registry.contentType }))
  const owned = started.move()
  return {
    environment,
    config,
    certificate,
    readiness,
    registry,
    http,
    httpListeners: [httpListener],
    listenerMetrics,
    serving: channel.serving,
    listeners,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
