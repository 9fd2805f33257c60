/** Delivery status notifications: multipart/report with message/delivery-status (RFC 3461, RFC 3462, RFC 3464). Pure. */
import type { Reply } from './reply.ts'
import { dateTime } from './trace.ts'

export type DsnAction = 'failed' | 'delayed' | 'relayed' | 'delivered'

export interface DsnRecipient {
  address: string
  /** ORCPT as given, "rfc822;joe@example.net". */
  orcpt: string | undefined
  reply: Reply
  /** The host that said it. */
  remoteHost: string | undefined
}

export interface DsnInput {
  action: DsnAction
  /** Our host name. */
  hostname: string
  /** The reverse-path of the message: who is told. */
  to: string
  envelopeId: string | undefined
  /** When the message was taken over. */
  arrivedAt: Date
  recipients: DsnRecipient[]
  /** Delayed: how long it is still tried. */
  retryUntil: Date | undefined
  original: Buffer
  ret: 'full' | 'hdrs' | undefined
  now: Date
  /** Makes Message-ID and boundary unique. */
  id: string
}

/** Larger originals come back as their header only, unless RET=FULL asked for all. */
const FULL_ORIGINAL_MAX_BYTES = 50_000

const SUBJECT = {
  failed: 'Undelivered Mail Returned to Sender',
  delayed: 'Delayed Mail (still being retried)',
  relayed: 'Mail passed on to its destination',
  delivered: 'Mail delivered',
} as const

const EXPLANATION = {
  failed: 'Your message could not be delivered to the recipients below.',
  delayed: 'Your message could not be delivered yet to the recipients below. You need not send it again.',
  relayed: 'Your message was passed on to a server that sends no confirmations of delivery.',
  delivered: 'Your message was delivered to the mailboxes below.',
} as const

/** @returns a whole message, CRLF line ends, to be sent with the null reverse-path */
export function buildDsn(input: DsnInput): Buffer {
  const { action, hostname, original, ret } = input
  const boundary = `dsn-${input.id}`
  const full = ret === 'full' || (ret === undefined && original.length <= FULL_ORIGINAL_MAX_BYTES)
  const returned = action === 'failed' && full ? original : headerOf(original)
  const utf8 =
    returned.some((byte) => byte > 127) || input.recipients.some(({ address }) => /[^\x20-\x7e]/.test(address))
  const encoding = utf8 ? '8bit' : '7bit'
  const head = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${input.to}>`,
    `Subject: ${SUBJECT[action]}`,
    `Date: ${dateTime(input.now)}`,
    `Message-ID: <${input.id}@${hostname}>`,
    'Auto-Submitted: auto-replied', // RFC 3834 §5
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="${boundary}"`,
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    'This is a MIME-encapsulated message.',
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    `This is the mail system at ${hostname}.`,
    '',
    EXPLANATION[action],
    ...(input.retryUntil && action === 'delayed' ? [`It is tried until ${dateTime(input.retryUntil)}.`] : []),
    '',
    ...input.recipients.flatMap(({ address, reply, remoteHost }) => [
      `<${address}>:${remoteHost === undefined ? '' : ` ${remoteHost} said:`}`,
      `    ${reply.text}`,
      '',
    ]),
    `--${boundary}`,
    `Content-Type: message/${utf8 ? 'global-' : ''}delivery-status`,
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    `Reporting-MTA: dns; ${hostname}`,
    ...(input.envelopeId === undefined ? [] : [`Original-Envelope-Id: ${input.envelopeId}`]),
    `Arrival-Date: ${dateTime(input.arrivedAt)}`,
    '',
    ...input.recipients.flatMap((recipient) => [...recipientFields(input, recipient), '']),
    `--${boundary}`,
    `Content-Type: ${returned === original ? 'message/rfc822' : 'text/rfc822-headers'}`,
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    '',
  ].join('\r\n')
  return Buffer.concat([Buffer.from(head), returned, Buffer.from(`\r\n--${boundary}--\r\n`)])
}

/** RFC 3464 §2.3. */
function recipientFields(input: DsnInput, { address, orcpt, reply, remoteHost }: DsnRecipient): string[] {
  const addressType = /^[\x20-\x7e]*$/.test(address) ? 'rfc822' : 'utf-8' // RFC 6533 §3
  const fields: string[] = []
  if (orcpt !== undefined) fields.push(`Original-Recipient: ${orcpt}`)
  fields.push(`Final-Recipient: ${addressType}; ${address}`, `Action: ${input.action}`)
  fields.push(`Status: ${statusOf(input.action, reply)}`)
  if (remoteHost !== undefined) fields.push(`Remote-MTA: dns; ${remoteHost}`)
  fields.push(`Diagnostic-Code: ${reply.remote ? 'smtp' : 'X-Mail-Engine'}; ${reply.text}`)
  fields.push(`Last-Attempt-Date: ${dateTime(input.now)}`)
  if (input.retryUntil && input.action === 'delayed') fields.push(`Will-Retry-Until: ${dateTime(input.retryUntil)}`)
  return fields
}

/** A recipient that is given up after transient failures has failed for good: the class must say so (§2.3.4). */
function statusOf(action: DsnAction, reply: Reply): string {
  const detail = reply.enhanced.slice(1)
  return action === 'failed' ? `5${detail}` : action === 'delayed' ? `4${detail}` : `2${detail}`
}

function headerOf(message: Buffer): Buffer {
  const end = message.indexOf('\r\n\r\n')
  return end === -1 ? message.subarray(0, FULL_ORIGINAL_MAX_BYTES) : message.subarray(0, end + 2)
}
