/** The trace fields we write: Received and Return-Path (RFC 5321 §4.4). Pure. */

export interface ReceivedFacts {
  clientAddress: string
  /** What the client called itself. */
  helo: string
  /** Our host name. */
  hostname: string
  /** RFC 3848: ESMTP, ESMTPS, ESMTPSA, ... */
  protocol: string
  /** Names the transaction in our log. */
  id: string
  tls: { version: string; cipher: string } | undefined
  /** Given only when there is exactly one: others must not learn of each other (RFC 5321 §7.2). */
  recipient: string | undefined
  at: Date
}

/** @returns the field with its CRLF */
export function receivedField(facts: ReceivedFacts): string {
  const { clientAddress, tls, recipient } = facts
  const literal = clientAddress.includes(':') ? `[IPv6:${clientAddress}]` : `[${clientAddress}]`
  const lines = [`Received: from ${heloText(facts.helo)} (${literal})`]
  lines.push(`\tby ${facts.hostname} with ${facts.protocol} id ${facts.id}`)
  if (tls) lines.push(`\t(version=${tls.version} cipher=${tls.cipher})`)
  if (recipient !== undefined) lines.push(`\tfor <${recipient}>`)
  return `${lines.join('\r\n')};\r\n\t${dateTime(facts.at)}\r\n`
}

/** The client's word for itself, cut down to what may stand in a field. */
function heloText(helo: string): string {
  const text = helo.replace(/[^\w.:[\]-]/g, '?').slice(0, 255)
  return text === '' ? 'unknown' : text
}

/** @param reversePath '' for the null reverse-path. @returns the field with its CRLF */
export const returnPathField = (reversePath: string): string => `Return-Path: <${reversePath}>\r\n`

/** RFC 5322 §3.3 date-time, in UTC. */
export function dateTime(at: Date): string {
  return at.toUTCString().replace(/GMT$/, '+0000')
}
