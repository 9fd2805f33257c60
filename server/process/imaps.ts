/** The IMAPS port: sessions come from the listener, and know when to say BYE. */
import type { Logger } from 'pino'
import { type ImapDeps, type ImapSession, serveImap } from '../imap/server.ts'
import { acceptSessions } from '../listener/accept.ts'
import type { Host } from './host.ts'

export interface ImapsListener {
  port: number
  /** Takes no more sessions and says BYE to those there are; resolves when they are gone. */
  drain(): Promise<void>
}

/** @throws the bind error */
export async function listenImaps(host: Host, deps: ImapDeps, log: Logger): Promise<ImapsListener> {
  const { address, imaps } = host.listeners()
  const sessions = new Set<ImapSession>()
  let draining = false
  const listener = await acceptSessions({
    name: 'imaps',
    address,
    port: imaps,
    tls: 'implicit',
    certificate: host.certificate,
    trustedNetworks: () => host.config.view.proxyProtocol.trustedNetworks,
    limits: () => host.config.view.limits,
    onSession(socket, { remoteAddress }) {
      const session = serveImap(socket, { remoteAddress }, deps)
      sessions.add(session)
      void session.done.then(() => sessions.delete(session))
      if (draining) session.close('shutting down')
    },
    metrics: host.listenerMetrics,
    log,
  })
  return {
    port: listener.port,
    async drain() {
      draining = true
      listener.stopAccepting()
      for (const session of sessions) session.close('shutting down')
      await Promise.all([...sessions].map((session) => session.done))
    },
  }
}
