/** How large a command may be: the configuration's limits, less before login. */
import type { Limits } from '../config.ts'
import type { CommandLimits } from './wire/reader.ts'

/** For lines and literals of clients that have not said who they are. */
const BEFORE_LOGIN_BYTES = 8192

export function commandLimits(limits: Limits, loggedIn: boolean): CommandLimits {
  const appending = (start: string) => loggedIn && /^\S+ +APPEND /i.test(start)
  const literal = loggedIn ? limits.imapLiteralBytes : BEFORE_LOGIN_BYTES
  return {
    lineBytes: loggedIn ? limits.imapLineBytes : Math.min(BEFORE_LOGIN_BYTES, limits.imapLineBytes),
    literalBytes: (start) => (appending(start) ? limits.messageBytes : literal),
    // MULTIAPPEND is all or nothing, so its messages are held together.
    totalLiteralBytes: (start) => (appending(start) ? limits.messageBytes * 2 : literal * 4),
  }
}
