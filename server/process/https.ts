/** The HTTPS port for the world, where one is asked for: every route that is not for the inside of the cluster. */
import type { Logger } from 'pino'
import { acceptSessions, type Listener } from '../listener/accept.ts'
import type { Host } from './host.ts'

/** It drains with the other ports of HTTP. @throws the bind error */
export async function listenHttps(host: Host, log: Logger): Promise<Listener | undefined> {
  const { address, https } = host.listeners()
  if (https === undefined) return undefined
  const listener = await acceptSessions({
    name: 'https',
    address,
    port: https,
    tls: 'implicit',
    alpnProtocols: ['http/1.1'],
    certificate: host.certificate,
    trustedNetworks: () => host.config.view.proxyProtocol.trustedNetworks,
    limits: () => host.config.view.limits,
    onSession: (socket, session) => host.http.serve(socket, { ...session, outside: true }),
    metrics: host.listenerMetrics,
    log,
  })
  host.httpListeners.push(listener)
  return listener
}
