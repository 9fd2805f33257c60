/**
 * Where the API server is and how to prove who we are: kept-alive TLS connections and an Authorization header made from
 * a KubeConfig. @kubernetes/client-node reads the files and runs exec and OIDC plugins; its HTTP part is not used,
 * because it opens a new TLS connection for every request.
 */

import type { RequestOptions } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { Agent, type Dispatcher } from 'undici'

/** Token and CA files are looked at again after this long, as client-go does; kubelet rotates both. */
const REREAD_MS = 60_000
const CONNECT_TIMEOUT_MS = 10_000

/** What one request needs: where to send it, over which connections, with which headers. */
export interface Target {
  origin: string
  /** Path in front of /api and /apis, without a trailing slash: '' unless a proxy such as Rancher's is in front. */
  basePath: string
  dispatcher: Dispatcher
  headers: Record<string, string>
}

/** Connections to one API server. `target` is cheap; `reauthenticate` forgets every cached credential. */
export interface Connection extends AsyncDisposable {
  readonly host: string
  target(): Promise<Target>
  reauthenticate(): void
}

/** Credentials of the process: KUBECONFIG, else ~/.kube/config, else the Pod's service account. */
export function loadKubeConfig(): KubeConfig {
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromDefault()
  return kubeConfig
}

interface Credentials {
  headers: Record<string, string>
  tls: { ca?: Buffer; cert?: Buffer; key?: Buffer; rejectUnauthorized?: boolean; servername?: string }
}

/**
 * @param kubeConfig its current context decides; it is copied, not changed
 * @throws Error when the context names no cluster, or one without a usable server URL
 */
export function openConnection(kubeConfig: KubeConfig, now: () => number = () => performance.now()): Connection {
  const cluster = kubeConfig.getCurrentCluster()
  if (!cluster) throw new Error(`kubeconfig: context "${kubeConfig.getCurrentContext()}" names no cluster`)
  const server = new URL(cluster.server)
  if (cluster.proxyUrl) throw new Error(`kubeconfig: cluster "${cluster.name}": proxy-url is not supported`)
  let authenticator = copyOf(kubeConfig)
  let current: { target: Target; agent: Agent; fingerprint: string; readAt: number } | undefined
  const closing = new Set<Promise<void>>()

  async function target(): Promise<Target> {
    if (current && now() - current.readAt < REREAD_MS) return current.target
    const { headers, tls } = await credentialsOf(authenticator)
    const fingerprint = JSON.stringify([tls.ca, tls.cert, tls.key].map((part) => part?.toString('base64')))
    // A rotated CA or client certificate needs new connections; running requests end on the old ones.
    if (current && current.fingerprint !== fingerprint) retire(current.agent)
    const agent =
      current?.fingerprint === fingerprint
        ? current.agent
        : new Agent({
            connect: { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: CONNECT_TIMEOUT_MS },
            keepAliveTimeout: 60_000,
            keepAliveMaxTimeout: 300_000,
          })
    const basePath = server.pathname.replace(/\/+$/, '')
    current = {
      agent,
      fingerprint,
      readAt: now(),
      target: { origin: server.origin, basePath, dispatcher: agent, headers },
    }
    return current.target
  }

  function retire(agent: Agent): void {
    const closed = agent.close().finally(() => closing.delete(closed))
    closing.add(closed)
  }

  return {
    host: server.host,
    target,
    reauthenticate() {
      authenticator = copyOf(kubeConfig) // authenticators cache tokens inside; a copy starts without
      if (current) current.readAt = Number.NEGATIVE_INFINITY
    },
    async [Symbol.asyncDispose]() {
      await current?.agent.destroy()
      await Promise.all(closing)
    },
  }
}

/**
 * A copy with fresh authenticators. Its server URL says https whatever ours says: client-node refuses to speak of
 * plain http (which a loopback API may use), and only the credentials are taken from the copy.
 */
function copyOf(kubeConfig: KubeConfig): KubeConfig {
  const copy = new KubeConfig()
  copy.loadFromOptions({
    clusters: kubeConfig.clusters.map((cluster) => ({
      ...cluster,
      server: cluster.server.replace(/^http:/, 'https:'),
    })),
    users: kubeConfig.users,
    contexts: kubeConfig.contexts,
    currentContext: kubeConfig.currentContext,
  })
  return copy
}

async function credentialsOf(kubeConfig: KubeConfig): Promise<Credentials> {
  const options: RequestOptions = {}
  await kubeConfig.applyToHTTPSOptions(options)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    // Tokens come from files that often end in a newline, which no header may carry.
    if (value !== undefined) headers[name.toLowerCase()] = String(value).trim()
  }
  if (options.auth) headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`
  const tls: Credentials['tls'] = {}
  for (const part of ['ca', 'cert', 'key'] as const) {
    const value = options[part]
    if (typeof value === 'string' || Buffer.isBuffer(value)) tls[part] = Buffer.from(value)
  }
  if (options.rejectUnauthorized === false) tls.rejectUnauthorized = false
  if (options.servername) tls.servername = options.servername
  return { headers, tls }
}
