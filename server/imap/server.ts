/** IMAP4rev2 and IMAP4rev1 (RFC 9051, RFC 3501) on a connection whose TLS is done. Listening is server/listener's. */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { ImapDeps } from './command.ts'
import { ImapConnection } from './session.ts'

export type { ImapDeps } from './command.ts'

export interface ImapSession {
  /** Names the session in logs. */
  id: string
  /** `* BYE reason`, after the command that runs; an idle session ends at once. */
  close(reason: string): void
  /** Resolves when the session is over. Never rejects. */
  done: Promise<void>
}

/**
 * Greets, and serves the client until it leaves.
 * @param socket the decrypted stream, with nothing read from it yet
 * @param client address after the PROXY protocol
 */
export function serveImap(socket: Duplex, client: { remoteAddress: string }, deps: ImapDeps): ImapSession {
  const id = randomBytes(6).toString('base64url')
  const connection = new ImapConnection(socket, { id, remoteAddress: client.remoteAddress }, deps)
  return { id, close: (reason) => connection.close(reason), done: connection.run() }
}
