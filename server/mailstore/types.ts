/**
 * The mail store as the protocols see it: mailboxes, messages, UIDs, MODSEQ, search, notifications. IMAP and JMAP share it
 * and nothing else. Everything about SQL is behind it.
 *
 * Words: an Email is one stored message of one account (JMAP's Email). A membership puts an Email into a mailbox under a
 * UID. Keywords (IMAP flags and JMAP keywords are one thing) belong to the Email and are repeated on its memberships.
 *
 * Ids are opaque strings that are valid JMAP Ids and begin with a letter: accounts 'a..', mailboxes 'm..', emails 'e..',
 * threads 't..'. IMAP's MAILBOXID, EMAILID, THREADID (RFC 8474) are the same strings.
 *
 * Every method may throw Unavailable (server/db/database.ts) when Postgres or the bucket is away.
 */
import type { BlobId } from '../blob/blobs.ts'
import type { Transaction } from '../db/database.ts'
import type { Envelope, MimePart, NamedAddress } from '../message/types.ts'

/** One counter per account: IMAP MODSEQ and JMAP state alike (design decision 5). It rises by one per change and never reaches 2^53. */
export type ModSeq = number
/** RFC 9051 §2.3.1.1: 1 .. 2^32-1. */
export type Uid = number

/** Special use (RFC 6154) and JMAP role (RFC 8621 §2) in JMAP's spelling. */
export type MailboxRole = 'inbox' | 'archive' | 'drafts' | 'flagged' | 'junk' | 'sent' | 'trash' | 'important'

export interface Mailbox {
  id: string
  accountId: string
  parentId: string | null
  /** Last path component, NFC. The inbox is 'INBOX'. */
  name: string
  /** Components from the root, joined by '/': 'INBOX', 'Projects/2026'. */
  path: string
  role: MailboxRole | null
  sortOrder: number
  subscribed: boolean
  uidValidity: number
  uidNext: Uid
  highestModSeq: ModSeq
  totalEmails: number
  unreadEmails: number
  totalThreads: number
  unreadThreads: number
  sizeBytes: number
}

/**
 * Keywords as JMAP spells them, lower case: '$seen', '$answered', '$flagged', '$draft', '$forwarded', '$junk', '$notjunk',
 * others as given (lower case, RFC 8621 §4.1.1). '$deleted' is IMAP's \Deleted: kept here, hidden by JMAP.
 */
export type Keyword = string

/** One message to store. Several items may share one `raw` (one blob). */
export interface IngestItem {
  accountId: string
  /** A mailbox id, or a role (falls back to the inbox when the account has no such mailbox). At least one. */
  mailboxes: ({ id: string } | { role: MailboxRole })[]
  keywords: Keyword[]
  receivedAt: Date
  raw: Buffer
}

export interface Ingested {
  emailId: string
  threadId: string
  blobId: BlobId
  sizeBytes: number
  modSeq: ModSeq
  memberships: { mailboxId: string; uid: Uid; uidValidity: number }[]
}

export interface IngestOptions {
  /** Runs in the same transaction, after the messages are in: the queue's rows of the same submission, for instance. */
  alongside?: (tx: Transaction) => Promise<void>
  /** Refuse with OverQuota when an account would pass its quota. Default true. */
  enforceQuota?: boolean
  /**
   * Names this acceptance, so that a client which repeats it because the replica died between the commit and its reply
   * does not get the mail stored twice. See `confirm`.
   */
  deliveryKey?: string
}

/** A message of a mailbox, narrow: what FLAGS, UID, MODSEQ need. */
export interface MessageRow {
  uid: Uid
  emailId: string
  keywords: Keyword[]
  modSeq: ModSeq
}

/** The index columns a reader may ask for; what is not asked for is undefined. */
export interface EmailColumns {
  receivedAt: Date
  sizeBytes: number
  blobId: BlobId
  threadId: string
  envelope: Envelope
  structure: MimePart
  subject: string | null
  sentAt: Date | null
  from: NamedAddress[]
  to: NamedAddress[]
  cc: NamedAddress[]
  messageId: string[]
  inReplyTo: string[]
  references: string[]
  preview: string
  hasAttachment: boolean
}
export type EmailColumn = keyof EmailColumns

export type FetchedMessage<C extends EmailColumn> = MessageRow & Pick<EmailColumns, C>

/** An Email across its mailboxes, for JMAP. */
export type Email<C extends EmailColumn> = {
  id: string
  keywords: Keyword[]
  mailboxIds: string[]
  modSeq: ModSeq
} & Pick<EmailColumns, C>

/** Inclusive UID or sequence ranges, ascending, not overlapping. */
export type Ranges = [first: number, last: number][]

/** IMAP SEARCH keys and JMAP FilterConditions in one language. Text matches are case-insensitive substrings of the decoded value. */
export type EmailFilter =
  | { all: true }
  | { and: EmailFilter[] }
  | { or: EmailFilter[] }
  | { not: EmailFilter }
  | { inMailbox: string }
  | { inMailboxOtherThan: string[] }
  | { uids: Ranges }
  | { hasKeyword: Keyword }
  | { allInThreadHaveKeyword: Keyword }
  | { someInThreadHaveKeyword: Keyword }
  | { noneInThreadHaveKeyword: Keyword }
  | { receivedBefore: Date }
  | { receivedSince: Date }
  /** The day written in the Date field, its time and zone disregarded: midnight UTC stands for it. */
  | { sentBefore: Date }
  | { sentSince: Date }
  | { largerThan: number }
  | { smallerThan: number }
  | { hasAttachment: boolean }
  | { from: string }
  | { to: string }
  | { cc: string }
  | { bcc: string }
  | { subject: string }
  /** Any header field of that name whose value contains the text; '' is "has the field". */
  | { header: string; contains: string }
  /** Decoded text parts. */
  | { body: string }
  /** Headers or decoded text parts. */
  | { text: string }
  | { modSeqAtLeast: ModSeq }
  | { emailId: string }
  | { threadId: string }

export interface EmailSort {
  property:
    | 'receivedAt'
    | 'sentAt'
    | 'size'
    | 'from'
    | 'to'
    | 'subject'
    | 'hasKeyword'
    | 'allInThreadHaveKeyword'
    | 'someInThreadHaveKeyword'
  ascending: boolean
  keyword?: Keyword
}

export interface EmailQuery {
  filter: EmailFilter
  sort: EmailSort[]
  collapseThreads: boolean
  /** Zero-based; negative counts from the end (RFC 8620 §5.5). */
  position: number
  anchor?: string
  anchorOffset?: number
  limit: number
  calculateTotal: boolean
}

export interface EmailQueryResult {
  ids: string[]
  position: number
  total: number | undefined
  /** State of the account's mail when the query ran. */
  state: ModSeq
}

export interface FlagChange {
  op: 'add' | 'remove' | 'replace'
  keywords: Keyword[]
}

export interface MailboxChanges {
  highestModSeq: ModSeq
  uidNext: Uid
  /** New and changed messages, by ascending UID. */
  changed: MessageRow[]
  /** UIDs expunged since, ascending. undefined when the log no longer reaches back: compare against all UIDs instead. */
  vanished: Uid[] | undefined
}

/** RFC 8620 §5.2. */
export interface ObjectChanges {
  newState: ModSeq
  hasMoreChanges: boolean
  created: string[]
  updated: string[]
  destroyed: string[]
}

export type ObjectType = 'Mailbox' | 'Email' | 'Thread'

/** What listeners are told: look at the change log from what you last saw. */
export interface StoreEvent {
  accountId: string
  modSeq: ModSeq
  /** Mailboxes touched; empty means unknown (a gap in notifications): look at all. */
  mailboxIds: string[]
}

export interface Mailstore {
  // Mailboxes
  mailboxes(accountId: string): Promise<Mailbox[]>
  mailbox(accountId: string, mailboxId: string): Promise<Mailbox | undefined>
  /** INBOX is case-insensitive (RFC 9051 §5.1). `path` uses '/'. */
  mailboxByPath(accountId: string, path: string): Promise<Mailbox | undefined>
  /** Creates missing parents of `path` too. @throws MailboxExists, MailboxNameInvalid, LimitReached */
  createMailbox(
    accountId: string,
    path: string,
    options?: { role?: MailboxRole | null; subscribed?: boolean; sortOrder?: number },
  ): Promise<Mailbox>
  /** Renaming INBOX by IMAP moves its messages (RFC 9051 §6.3.6): the caller asks for that with moveInbox. @throws MailboxNotFound, MailboxExists, MailboxNameInvalid */
  updateMailbox(
    accountId: string,
    mailboxId: string,
    change: { path?: string; subscribed?: boolean; role?: MailboxRole | null; sortOrder?: number },
  ): Promise<Mailbox>
  /** @throws MailboxNotFound, MailboxHasChildren, MailboxNotEmpty unless removeMessages */
  deleteMailbox(accountId: string, mailboxId: string, options: { removeMessages: boolean }): Promise<void>

  // Storing
  /**
   * Durable when it returns (design decision 3). Concurrent calls share one transaction.
   * @returns one per item; empty for a repeated delivery (see IngestOptions.deliveryKey), which was stored before
   * @throws MailboxNotFound, OverQuota, MessageTooLarge
   */
  ingest(items: IngestItem[], options?: IngestOptions): Promise<Ingested[]>
  /** The client of this acceptance got its reply (it went on talking): a repetition is a new message from now on. Never waits. */
  confirm(deliveryKey: string): void

  // Reading, by mailbox (IMAP)
  /** All UIDs, ascending, and the mailbox's counters of the same moment. @throws MailboxNotFound */
  openMailbox(accountId: string, mailboxId: string): Promise<{ mailbox: Mailbox; uids: Uid[] }>
  /** Messages by UID, ascending, in batches; only the asked columns are read. `ranges` of undefined is all. */
  fetch<C extends EmailColumn>(
    mailboxId: string,
    ranges: Ranges | undefined,
    columns: readonly C[],
    options?: { changedSince?: ModSeq },
  ): AsyncIterable<FetchedMessage<C>[]>
  changesSince(mailboxId: string, since: ModSeq): Promise<MailboxChanges>
  /** Matching UIDs, ascending, with their MODSEQ. */
  search(accountId: string, mailboxId: string, filter: EmailFilter): Promise<{ uid: Uid; modSeq: ModSeq }[]>

  // Changing, by mailbox (IMAP)
  /**
   * @returns messages as they are now; `modified` are those left alone because of unchangedSince (RFC 7162 §3.1.3);
   * `modSeq` is that of this change, undefined when all flags were so already
   */
  changeFlags(
    accountId: string,
    mailboxId: string,
    ranges: Ranges,
    change: FlagChange,
    unchangedSince?: ModSeq,
  ): Promise<{ updated: MessageRow[]; modified: Uid[]; modSeq: ModSeq | undefined }>
  /** Removes messages from the mailbox; without ranges, all that have $deleted; with, those of them. @returns expunged UIDs, ascending */
  expunge(accountId: string, mailboxId: string, ranges?: Ranges): Promise<{ uids: Uid[]; modSeq: ModSeq }>
  /** IMAP COPY: independent Emails with the same bytes. @returns UID pairs for COPYUID. @throws MailboxNotFound, OverQuota */
  copy(
    accountId: string,
    mailboxId: string,
    ranges: Ranges,
    targetId: string,
  ): Promise<{ uidValidity: number; pairs: [from: Uid, to: Uid][] }>
  /** IMAP MOVE (RFC 6851): the same Email under a new UID. */
  move(
    accountId: string,
    mailboxId: string,
    ranges: Ranges,
    targetId: string,
  ): Promise<{ uidValidity: number; pairs: [from: Uid, to: Uid][] }>

  // By Email (JMAP)
  state(accountId: string): Promise<ModSeq>
  emails<C extends EmailColumn>(accountId: string, ids: string[], columns: readonly C[]): Promise<Email<C>[]>
  query(accountId: string, query: EmailQuery): Promise<EmailQueryResult>
  /** Emails of each thread, oldest first. Unknown ids are left out. */
  threads(accountId: string, threadIds: string[]): Promise<{ id: string; emailIds: string[] }[]>
  /** @returns undefined when the log no longer reaches back (cannotCalculateChanges) */
  changes(accountId: string, type: ObjectType, since: ModSeq, maxChanges: number): Promise<ObjectChanges | undefined>
  /** Sets keywords and/or mailboxes of Emails; all or none per Email. */
  updateEmails(
    accountId: string,
    changes: { id: string; keywords?: Keyword[]; mailboxIds?: string[] }[],
  ): Promise<{ updated: string[]; notFound: string[]; modSeq: ModSeq }>
  destroyEmails(accountId: string, ids: string[]): Promise<{ destroyed: string[]; notFound: string[]; modSeq: ModSeq }>

  // Bytes
  /** The whole message or upload, when it is this account's to read. */
  readBlob(accountId: string, blobId: BlobId): Promise<Buffer | undefined>
  /** The same for several at once; those that are not this account's are left out. The caller bounds their bytes. */
  readBlobs(accountId: string, blobIds: readonly BlobId[]): Promise<Map<BlobId, Buffer>>
  /** Kept for at least a day without a reference (RFC 8620 §6.1). */
  putUpload(accountId: string, bytes: Buffer): Promise<BlobId>

  /** Changes of one account, from any replica, until the returned function is called. */
  subscribe(accountId: string, listener: (event: StoreEvent) => void): () => void
}

export class MailboxNotFound extends Error {
  override name = 'MailboxNotFound'
}
export class MailboxExists extends Error {
  override name = 'MailboxExists'
}
export class MailboxHasChildren extends Error {
  override name = 'MailboxHasChildren'
}
export class MailboxNotEmpty extends Error {
  override name = 'MailboxNotEmpty'
}
export class MailboxNameInvalid extends Error {
  override name = 'MailboxNameInvalid'
}
export class OverQuota extends Error {
  override name = 'OverQuota'
}
export class MessageTooLarge extends Error {
  override name = 'MessageTooLarge'
}
export class LimitReached extends Error {
  override name = 'LimitReached'
}
/** Email/query's anchor is not in the result (RFC 8620 §5.5, anchorNotFound). */
export class AnchorNotFound extends Error {
  override name = 'AnchorNotFound'
}
/** A filter nests too deeply: unsupportedFilter, or NO [LIMIT]. */
export class FilterTooComplex extends Error {
  override name = 'FilterTooComplex'
}
