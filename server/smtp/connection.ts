/**
 * smtp-server's session with what we ask of it beyond its options: enhanced status codes of our own in every reply,
 * AUTH hidden and refused before TLS, confirmation of deliveries, and leaving with 421 4.3.2 when the replica drains.
 */
import type net from 'node:net'
import type tls from 'node:tls'
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { DataScanner } from './data-scanner.ts'
import type { SmtpServer } from './server.ts'

/** A text that already begins with its enhanced status code (RFC 3463 §2). */
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3} /

export class Connection extends SMTPConnection {
  /** False when the session is one too many: told at the greeting. */
  admitted = true
  /** Told once the socket is closed. */
  ended: () => void = () => undefined
  readonly #smtp: SmtpServer
  #corked = false
  /** Deliveries whose reply is written, and how much the client had sent by then. */
  #unconfirmed: { deliveryKey: string; bytesRead: number }[] = []

  constructor(server: SmtpServer, socket: net.Socket | tls.TLSSocket, options?: SMTPConnectionOptions | null) {
    super(server, socket, options)
    this.#smtp = server
  }

  /** smtp-server waits 100 ms for early talkers, which would bound clients that open a session per message. */
  override init(): void {
    this._setListeners(() => setImmediate(() => this.connectionReady()))
  }

  /** Replies to pipelined commands leave together (RFC 2920 §3.2): one write instead of one per command. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const own = typeof data === 'string' && ENHANCED.test(data)
    const socket = this._socket
    if (!this.#corked && !socket.destroyed) {
      this.#corked = true
      socket.cork()
      setImmediate(() => this.#flush(socket))
    }
    super.send(code, data, own ? false : context)
  }

  #flush(socket: net.Socket): void {
    if (!this.#corked) return
    this.#corked = false
    socket.uncork()
  }

  /** The 220 of STARTTLS must be gone before the handshake takes the socket over. */
  override upgrade(callback: () => void, secureCallback?: () => void): void {
    this.#flush(this._socket)
    super.upgrade(callback, secureCallback)
  }

  /** Runs in the base class's constructor, before this class's fields are there. */
  override _createParser(): SMTPStream {
    const { maxCommandLength } = this._server.options
    const parser = new DataScanner(maxCommandLength === undefined ? {} : { maxCommandLength })
    parser.oncommand = (command, callback) => this._onCommand(command, callback)
    parser.on('error', () => this.send(421, '4.5.2 Command line too long'))
    return parser
  }

  override _onClose(): void {
    super._onClose()
    this.ended()
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    this.#confirm()
    if (this.#smtp.draining && !this._upgrading && !this.inTransaction()) {
      this.leave()
      callback?.()
      return
    }
    super._onCommand(command, callback)
  }

  /** Called where a transaction ends, whichever way. */
  override _resetSession(): void {
    super._resetSession()
    if (this.#smtp.draining) setImmediate(() => this.leaveIfIdle())
  }

  /** RFC 4954 §4: plain-text mechanisms are offered only under TLS, so AUTH is absent from the list before it. */
  override handler_EHLO(command: Buffer, callback: () => void): void {
    if (!this.secure) this.session.disabledCommands = [...this.#smtp.options.disabledCommands, 'AUTH']
    super.handler_EHLO(command, callback) // writes its reply before it returns
    this.session.disabledCommands = undefined
  }

  override handler_AUTH(command: Buffer, callback: () => void): void {
    if (this.secure) {
      super.handler_AUTH(command, callback)
    } else {
      this.send(538, '5.7.11 Encryption required, use STARTTLS first')
      callback()
    }
  }

  /** RFC 5321 §3.5.3: 252 tells nothing about who exists. */
  override handler_VRFY(command: Buffer, callback: () => void): void {
    const known = command.toString().trim().includes(' ')
    if (known) this.send(252, '2.5.0 Cannot VRFY user, send some mail, we will try')
    else this.send(501, '5.5.4 Syntax: VRFY address')
    callback()
  }

  /**
   * The reply of an accepted message is written: once the client goes on talking it has got it.
   * Bytes that were here before the reply prove nothing, a client may pipeline (RFC 2920).
   */
  accepted(deliveryKey: string): void {
    this.#unconfirmed.push({ deliveryKey, bytesRead: this._socket.bytesRead })
  }

  #confirm(): void {
    if (this.#unconfirmed.length === 0) return
    const bytesRead = this._socket.bytesRead
    this.#unconfirmed = this.#unconfirmed.filter((delivery) => {
      if (bytesRead <= delivery.bytesRead) return true
      this.#smtp.confirm(delivery.deliveryKey)
      return false
    })
  }

  /** Between MAIL and the reply to the message. */
  inTransaction(): boolean {
    return Boolean(this._dataStream) || this._handlerPending || Boolean(this.session.envelope?.mailFrom)
  }

  leaveIfIdle(): void {
    if (!this._closing && !this._closed && !this.inTransaction()) this.leave()
  }

  /** RFC 3463 §3.4: X.3.2, the system is not accepting messages; the client tries another replica. */
  leave(): void {
    this.send(421, `4.3.2 ${this.name} is shutting down, try again`)
  }

  destroy(): void {
    this._socket.destroy()
  }
}
