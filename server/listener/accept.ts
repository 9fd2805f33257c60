/**
 * One listening port, from the TCP connection to a session: who the client is (PROXY protocol), how many may come, TLS.
 * What is spoken then is the caller's: IMAP and HTTP.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import type { ListenerMetrics } from './metrics.ts'
import { inNetworks, plainAddress } from './networks.ts'
import { readOpening } from './opening.ts'
import type { CertificateSource } from './tls.ts'

/** For the PROXY header, the first byte and the TLS handshake together. */
const OPENING_MS = 30_000
const KEEP_ALIVE_MS = 60_000

export interface SessionInfo {
  /** The client, after the PROXY protocol; IPv4 in IPv4 form. */
  remoteAddress: string
  /** The peer of the TCP connection: the proxy, when there is one. */
  peerAddress: string
  tls: boolean
}

export interface AcceptOptions {
  /** For logs and metrics: 'imaps', 'jmap'. */
  name: string
  address: string
  port: number
  /** 'implicit': TLS at once (RFC 8314 §3). 'detect': TLS when the first byte is a TLS handshake, else plain. */
  tls: 'implicit' | 'detect'
  alpnProtocols?: string[]
  certificate: CertificateSource
  trustedNetworks: () => readonly string[]
  limits: () => { sessionsPerProcess: number; sessionsPerAddress: number }
  /** Gets the socket before any byte of the session was read. */
  onSession: (socket: Socket, info: SessionInfo) => void
  metrics: ListenerMetrics
  log: Logger
  openingMs?: number
}

export interface Listener extends AsyncDisposable {
  /** The bound port. */
  port: number
  sessions(): number
  /** Takes no new connections; sessions go on. */
  stopAccepting(): void
  /** Ends what is still open, at once. */
  destroySessions(): void
}

/** Binds the port. @throws the bind error (EADDRINUSE, EACCES) */
export async function acceptSessions(options: AcceptOptions): Promise<Listener> {
  const { name, metrics, log } = options
  const sockets = new Set<Socket>()
  const perAddress = new Map<string, number>()
  const refused = new WeakSet<Socket>()

  const server = createServer({ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, noDelay: true })
  server.on('connection', (socket: Socket) => {
    metrics.connections.inc({ listener: name })
    socket.on('error', () => socket.destroy()) // resets are everyday; the session sees 'close'
    if (sockets.size >= options.limits().sessionsPerProcess) return refuse(socket, 'process')
    sockets.add(socket)
    metrics.open.inc({ listener: name })
    let counted: string | undefined
    socket.once('close', () => {
      sockets.delete(socket)
      metrics.open.dec({ listener: name })
      if (counted !== undefined) release(counted)
    })
    open(socket, (address) => {
      const count = perAddress.get(address) ?? 0
      if (count >= options.limits().sessionsPerAddress) return false
      perAddress.set(address, count + 1)
      counted = address
      return true
    }).catch((error: unknown) => {
      const reason = error instanceof OpeningError ? error.kind : 'tls'
      log.debug(
        { listener: name, peer: plainAddress(socket.remoteAddress), reason: String(error) },
        'connection not opened',
      )
      refuse(socket, reason)
    })
  })

  function release(address: string) {
    const count = (perAddress.get(address) ?? 1) - 1
    if (count > 0) perAddress.set(address, count)
    else perAddress.delete(address)
  }

  function refuse(socket: Socket, reason: string) {
    if (refused.has(socket)) return // the first reason counts: the others follow from it
    refused.add(socket)
    metrics.refused.inc({ listener: name, reason })
    socket.destroy()
  }

  async function open(socket: Socket, admit: (address: string) => boolean): Promise<void> {
    const deadline = setTimeout(() => refuse(socket, 'timeout'), options.openingMs ?? OPENING_MS)
    try {
      const peerAddress = plainAddress(socket.remoteAddress)
      const trusted = inNetworks(peerAddress, options.trustedNetworks())
      const opening = await readOpening(socket, {
        proxyHeader: trusted,
        firstByte: options.tls === 'detect' || trusted,
      })
      if (opening === undefined) return // closed before it said anything
      if (opening.invalid) throw new OpeningError('proxy-protocol', opening.invalid)
      const remoteAddress = opening.address ? plainAddress(opening.address) : peerAddress
      if (!admit(remoteAddress)) throw new OpeningError('address', 'too many sessions of one address')
      const wantsTls = options.tls === 'implicit' || opening.firstByte === TLS_HANDSHAKE
      const session = wantsTls ? await startTls(socket) : socket
      if (session.destroyed) return
      options.onSession(session, { remoteAddress, peerAddress, tls: wantsTls })
    } finally {
      clearTimeout(deadline)
    }
  }

  async function startTls(socket: Socket): Promise<Socket> {
    const pair = options.certificate.current()
    if (!pair) throw new OpeningError('no-certificate', 'no TLS certificate yet')
    const { promise, resolve, reject } = Promise.withResolvers<Socket>()
    const session = new TLSSocket(socket, {
      isServer: true,
      secureContext: pair.context,
      SNICallback: (serverName, done) => done(null, options.certificate.forName(serverName)?.context),
      ...(options.alpnProtocols ? { ALPNProtocols: options.alpnProtocols } : {}),
    })
    session.on('error', (error) => {
      reject(error)
      session.destroy()
    })
    session.once('close', () => {
      reject(new OpeningError('tls', 'closed during the handshake'))
      socket.destroy()
    })
    session.once('secure', () => resolve(session))
    return promise
  }

  await listen(server, options.address, options.port)
  server.on('error', (error) => log.error({ err: error, listener: name }, 'listener failed'))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : options.port
  log.info({ listener: name, port }, 'listening')
  const stopAccepting = () => void (server.listening && server.close())
  const destroySessions = () => sockets.forEach((socket) => void socket.destroy())
  return {
    port,
    sessions: () => sockets.size,
    stopAccepting,
    destroySessions,
    async [Symbol.asyncDispose]() {
      stopAccepting()
      destroySessions()
    },
  }
}

/** First byte of a TLS record of type handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16

class OpeningError extends Error {
  override name = 'OpeningError'
  readonly kind: string
  constructor(kind: string, text: string) {
    super(text)
    this.kind = kind
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host, port, backlog: 1024 }, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}
