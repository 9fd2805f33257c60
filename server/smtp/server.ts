/**
 * smtp-server's server with our sessions: counted, behind the PROXY protocol of trusted networks only, and able to drain.
 * What a command means is in listener.ts.
 */
import { randomBytes } from 'node:crypto'
import type net from 'node:net'
import type tls from 'node:tls'
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server'
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'
import { plainAddress } from '../listener/networks.ts'
import { readOpening } from '../listener/opening.ts'
import { Connection } from './connection.ts'
import type { SessionCounter } from './sessions.ts'

export interface SmtpServerParts {
  sessions: SessionCounter
  /** 1 for a session that begins, -1 for one that ends. */
  counted(change: 1 | -1): void
  /** False while implicit TLS has no certificate: connections are closed at once. */
  ready(): boolean
  /** Is this peer a proxy whose connections begin with a PROXY header? */
  trustsProxy(address: string): boolean
  confirm(deliveryKey: string): void
}

export class SmtpServer extends SMTPServer {
  draining = false
  readonly #parts: SmtpServerParts
  readonly #connections = new WeakMap<SMTPServerSession, Connection>()
  readonly #open = new Set<Connection>()
  #emptied: (() => void) | undefined

  constructor(options: SMTPServerOptions, parts: SmtpServerParts) {
    super(options)
    this.#parts = parts
  }

  confirm(deliveryKey: string): void {
    this.#parts.confirm(deliveryKey)
  }

  connectionOf(session: SMTPServerSession): Connection {
    const connection = this.#connections.get(session)
    if (!connection) throw new Error('a session without its connection')
    return connection
  }

  openConnections(): number {
    return this.#open.size
  }

  override connect(socket: net.Socket | tls.TLSSocket, options?: SMTPConnectionOptions | null): void {
    const connection = new Connection(this, socket, options)
    const address = connection.remoteAddress
    connection.admitted = !this.draining && this.#parts.sessions.enter(address)
    this.#connections.set(connection.session, connection)
    this.connections.add(connection)
    this.#open.add(connection)
    this.#parts.counted(1)
    let left = false
    const leave = (): void => {
      if (left) return
      left = true
      if (connection.admitted) this.#parts.sessions.leave(address)
      this.#open.delete(connection)
      this.#parts.counted(-1)
      if (this.#open.size === 0) this.#emptied?.()
    }
    // smtp-server calls this for every way a session ends; STARTTLS replaces the socket and its listeners
    connection.ended = leave
    connection.on('error', (error: Error) => this._onError(error))
    connection.init()
  }

  /**
   * Stops accepting, tells idle sessions to go elsewhere, lets transactions finish.
   * @returns when the last session has gone, at the latest after deadlineMs, when the rest is cut
   */
  async drain(deadlineMs: number): Promise<void> {
    if (this.draining && this.#open.size === 0) return
    this.draining = true
    this.server.close()
    for (const socket of this._pendingSockets.values()) socket.destroy()
    for (const connection of this.#open) connection.leaveIfIdle()
    if (this.#open.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const deadline = setTimeout(resolve, deadlineMs)
    this.#emptied = resolve
    await promise
    clearTimeout(deadline)
    for (const connection of this.#open) connection.destroy()
  }

  override _acceptSocket(socket: net.Socket, handshake: boolean): (() => void) | false {
    if (this.#parts.ready() && !this.draining) return super._acceptSocket(socket, handshake)
    socket.destroy()
    return false
  }

  override _expectsProxyHeader(socket: net.Socket): boolean {
    return this.#parts.trustsProxy(plainAddress(socket.remoteAddress))
  }

  /** Replaces smtp-server's reader, which knows version 1 only. The idle timeout is armed by _acceptSocket. */
  override _handleProxy(socket: net.Socket, callback: Parameters<SMTPServer['_handleProxy']>[1]): void {
    const id = randomBytes(10).toString('hex')
    if (!this._expectsProxyHeader(socket)) {
      setImmediate(() => callback(null, { id }))
      return
    }
    socket.on('error', () => socket.destroy())
    readOpening(socket, { proxyHeader: true, firstByte: false }).then(
      (opening) => {
        if (opening?.invalid === undefined && opening)
          return callback(null, opening.address === undefined ? { id } : { id, remoteAddress: opening.address })
        socket.destroy()
        callback(new Error(opening?.invalid ?? 'closed before the PROXY header'))
      },
      (error: Error) => callback(error),
    )
  }
}
