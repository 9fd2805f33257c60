/** How a command of ours is refused: a reply code, an enhanced status code and a text that strangers may read. */
import { Unavailable } from '../db/database.ts'
import { MessageTooLarge, OverQuota } from '../mailstore/types.ts'
import { SubmissionRefused } from '../queue/types.ts'

/** RFC 5321 §4.2 and RFC 3463: { code: 550, enhanced: '5.1.1' }. */
export interface SmtpReply {
  code: number
  enhanced: string
}

/** Ends a command with a reply. `text` is read by strangers: no SQL, hosts or paths; `cause` is for the log. */
export class SmtpRefusal extends Error {
  override name = 'SmtpRefusal'
  readonly reply: SmtpReply
  /** For the log line. */
  readonly facts: Record<string, unknown>
  constructor(reply: SmtpReply, text: string, options: ErrorOptions & { facts?: Record<string, unknown> } = {}) {
    super(text, options)
    this.reply = reply
    this.facts = options.facts ?? {}
  }
}

/**
 * What a client is told about an error of any layer.
 * @returns a refusal; anything unknown is our trouble: 451 4.3.0, so that the client keeps the message (RFC 5321 §6.1)
 */
export function refusalOf(error: unknown): SmtpRefusal {
  if (error instanceof SmtpRefusal) return error
  if (error instanceof SubmissionRefused) return new SmtpRefusal(error.reply, error.message, { cause: error })
  if (error instanceof OverQuota)
    return new SmtpRefusal({ code: 552, enhanced: '5.2.2' }, 'Mailbox is full', { cause: error })
  if (error instanceof MessageTooLarge)
    return new SmtpRefusal({ code: 552, enhanced: '5.3.4' }, 'Message is too large', { cause: error })
  const text = error instanceof Unavailable ? 'Service is temporarily unavailable, try again' : 'Local error, try again'
  return new SmtpRefusal({ code: 451, enhanced: '4.3.0' }, text, { cause: error })
}

/** The error shape that smtp-server turns into a reply; the enhanced code leads the text (see connection.ts). */
export function replyError(refusal: SmtpRefusal): Error & { responseCode: number } {
  return Object.assign(new Error(`${refusal.reply.enhanced} ${refusal.message}`), {
    responseCode: refusal.reply.code,
  })
}
