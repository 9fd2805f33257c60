/**
 * A message taken apart once, at ingest: everything IMAP's ENVELOPE and BODYSTRUCTURE and JMAP's Email properties need,
 * so that listing a mailbox never reads a blob (design decision 5). All of it is plain JSON, kept in the index.
 * Parsing never throws: whatever bytes came, a message comes out (RFC 5322 with every lenience mail readers have).
 */

/** One address as written. `name` is raw (encoded-words not decoded), `mailbox` the local part, `host` the domain. Group syntax as in IMAP: [null,null,'group',null] ... [null,null,null,null]. */
export type EnvelopeAddress = [name: string | null, mailbox: string | null, host: string | null]

/** IMAP ENVELOPE (RFC 9051 §7.5.2), raw header values unfolded; 8-bit bytes are kept as UTF-8 when valid, else as latin1. */
export interface Envelope {
  date: string | null
  subject: string | null
  from: EnvelopeAddress[]
  sender: EnvelopeAddress[]
  replyTo: EnvelopeAddress[]
  to: EnvelopeAddress[]
  cc: EnvelopeAddress[]
  bcc: EnvelopeAddress[]
  inReplyTo: string | null
  messageId: string | null
}

/** A MIME part (RFC 2045). Offsets are bytes into the whole message. */
export interface MimePart {
  /** IMAP part number, '' for the root; the single part of a non-multipart message is '1'. JMAP partId is the same text. */
  number: string
  /** Lower case, 'text' / 'plain' when absent or broken. */
  type: string
  subtype: string
  /** Content-Type parameters, lower-case names, RFC 2231 decoded values. */
  parameters: Record<string, string>
  /** Raw values, without angle brackets changed. */
  contentId: string | null
  description: string | null
  /** Lower case; '7bit' when absent. */
  encoding: string
  /** Lower case 'attachment', 'inline', ... */
  disposition: string | null
  dispositionParameters: Record<string, string>
  language: string[]
  location: string | null
  md5: string | null
  /** Header block of this part: [headerStart, bodyStart), body [bodyStart, bodyEnd). */
  headerStart: number
  bodyStart: number
  bodyEnd: number
  /** Lines of the body (text/* and message/rfc822). */
  lines: number
  /** Decoded file name from disposition or type parameters. */
  name: string | null
  /** Bytes after decoding the transfer encoding (JMAP size). */
  decodedSize: number
  /** multipart/*: the parts. message/rfc822 and message/global: one child, the embedded message's root part. */
  parts?: MimePart[]
  /** message/rfc822: the embedded message's envelope. */
  envelope?: Envelope
}

/** Address for people: decoded name and the address as text; groups kept by name. JMAP EmailAddress (RFC 8621 §4.1.2.3). */
export interface NamedAddress {
  name: string | null
  email: string
}

/** What the index keeps of a message. */
export interface ParsedMessage {
  sizeBytes: number
  envelope: Envelope
  structure: MimePart
  /** Decoded, normalized to NFC, for people and search. */
  subject: string | null
  /** RFC 5322 Date, undefined when absent or not parseable. */
  sentAt: Date | undefined
  from: NamedAddress[]
  to: NamedAddress[]
  cc: NamedAddress[]
  /** Without angle brackets. */
  messageId: string[]
  inReplyTo: string[]
  references: string[]
  /** For threading: subject without Re:, Fwd:, [list] prefixes (RFC 5256 §2.1). */
  baseSubject: string
  /** First 256 characters of readable text (RFC 8621 §4.1.4). */
  preview: string
  hasAttachment: boolean
}
