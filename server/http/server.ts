/**
 * The HTTP server: finds the route of a request, bounds and times it, counts it, and turns what a route throws into an
 * answer. Connections come from the listener; it does not listen itself.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { Unavailable } from '../db/database.ts'
import { sendProblem } from './answers.ts'
import { HttpError } from './errors.ts'
import type { HttpMetrics } from './metrics.ts'
import type { Route } from './types.ts'

const HEADERS_MS = 30_000
/** Long enough for the largest upload on a slow line. */
const REQUEST_MS = 600_000
const KEEP_ALIVE_MS = 75_000
const LINGER_MS = 1_000
const MAX_HEADER_BYTES = 32_768
const RETRY_AFTER_SECONDS = '5'

/** A route and the name that metrics count it under. */
export interface NamedRoute {
  name: string
  handle: Route
  /** For the cluster alone: who comes from outside is not told that it is there. */
  inside?: boolean
}

export interface HttpSession {
  remoteAddress: string
  peerAddress: string
  /** The connection came to a port for the world. */
  outside?: boolean
}

export interface HttpServer extends AsyncDisposable {
  /** Speaks HTTP on a connection. */
  serve(socket: Socket, session: HttpSession): void
  /** Asked in order; routes may come later, as their parts start. */
  routes: NamedRoute[]
  /** Closes idle connections, and every other one after its answer. */
  drain(): void
}

export function createHttpServer({ metrics, log }: { metrics: HttpMetrics; log: Logger }): HttpServer {
  const routes: NamedRoute[] = []
  const sessions = new WeakMap<Socket, HttpSession>()
  let draining = false

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const startedAt = performance.now()
    let route = 'none'
    response.once('close', () => {
      const labels = { route, method: knownMethod(request.method), status: String(response.statusCode) }
      metrics.requests.inc(labels)
      metrics.duration.observe({ route }, (performance.now() - startedAt) / 1000)
    })
    if (draining) response.setHeader('Connection', 'close')
    try {
      const session = sessions.get(request.socket)
      const remoteAddress = session?.remoteAddress ?? '0.0.0.0'
      const peerAddress = session?.peerAddress ?? remoteAddress
      const url = readUrl(request)
      for (const candidate of routes) {
        if (candidate.inside && session?.outside) continue
        route = candidate.name
        if (await candidate.handle({ request, response, url, remoteAddress, peerAddress })) return
      }
      route = 'none'
      throw new HttpError(404, 'nothing is here')
    } catch (error) {
      fail(response, error, { route, log })
    } finally {
      if (!request.complete && response.writableEnded) linger(request)
    }
  }

  const server: Server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => void handle(request, response),
  )
  // The server enforces its timeouts from 'listening' on; it never listens itself, see serve.
  server.emit('listening')

  return {
    routes,
    serve(socket, session) {
      sessions.set(socket, session)
      server.emit('connection', socket)
    },
    drain() {
      draining = true
      server.closeIdleConnections()
    },
    async [Symbol.asyncDispose]() {
      server.close(() => {}) // ends the timer of the timeouts
      server.closeAllConnections()
    },
  }
}

/**
 * Reads on for a moment after an early refusal and closes then: closing with bytes unread would reset the connection, and
 * the client would never see the answer (RFC 9112 §9.6).
 */
function linger(request: IncomingMessage): void {
  request.resume()
  setTimeout(() => request.socket.destroy(), LINGER_MS).unref()
}

function fail(response: ServerResponse, error: unknown, { route, log }: { route: string; log: Logger }): void {
  if (!(error instanceof HttpError)) {
    const level = error instanceof Unavailable ? 'warn' : 'error'
    log[level]({ err: error, route }, 'request failed')
  }
  if (response.headersSent) return void response.destroy()
  sendProblem(response, asHttpError(error))
}

function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error
  if (error instanceof Unavailable) {
    return new HttpError(503, 'the mail store is away for a moment', {
      headers: { 'Retry-After': RETRY_AFTER_SECONDS },
    })
  }
  return new HttpError(500, 'an error of ours')
}

function readUrl(request: IncomingMessage): URL {
  const url = URL.parse(request.url ?? '/', 'http://localhost')
  if (!url) throw new HttpError(400, 'the request target is not a URL')
  return url
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
/** Strangers choose the method: only known ones become labels. */
const knownMethod = (method: string | undefined) => (method && METHODS.has(method) ? method : 'other')
