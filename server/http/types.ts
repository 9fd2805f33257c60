/** How parts hang routes into the one HTTP server (JMAP, admin, metrics, health share a port). */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface RequestContext {
  request: IncomingMessage
  response: ServerResponse
  url: URL
  /** The peer, after the PROXY protocol. */
  remoteAddress: string
  /** The peer of the TCP connection: a proxy, when there is one. */
  peerAddress: string
}

/** Answers the request, or returns false: not mine, ask the next. A throw becomes 500 (503 for Unavailable). */
export type Route = (context: RequestContext) => Promise<boolean>
