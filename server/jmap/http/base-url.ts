/** The URL under which the client that asks reaches us. */
import { TLSSocket } from 'node:tls'
import type { EngineConfig } from '../../config.ts'
import type { RequestContext } from '../../http/types.ts'
import { inNetworks } from '../../listener/networks.ts'

/**
 * The configured URL when the client asked that host; otherwise the host it asked (a port forward, a local run), so that
 * the URLs of the session lead back to where it already is.
 * @returns without a slash at its end
 */
export function baseUrl({ request, peerAddress }: RequestContext, config: EngineConfig): string {
  const configured = new URL(config.publicUrl ?? `https://${config.hostname}`)
  const publicUrl = configured.href.replace(/\/+$/, '')
  const host = request.headers.host ?? ''
  // Strangers write this header: only what is a plain host[:port] gets into our answer.
  if (!/^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/.test(host)) return publicUrl
  const asked = URL.parse(`http://${host}`)
  if (!asked || asked.hostname === configured.hostname) return publicUrl
  return `${scheme(request.socket instanceof TLSSocket, request.headers['x-forwarded-proto'], peerAddress, config)}://${host}`
}

function scheme(tls: boolean, forwarded: string | string[] | undefined, peer: string, config: EngineConfig): string {
  if (tls) return 'https'
  const trusted = inNetworks(peer, config.proxyProtocol.trustedNetworks)
  return trusted && forwarded === 'https' ? 'https' : 'http'
}
