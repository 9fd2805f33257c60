/** What the server can do and how much of it (RFC 8620 §2, RFC 8621 §1.3). Only what works is announced. */
import type { EngineConfig } from '../config.ts'
import { emailSortOptions } from './email/filter.ts'

export const CORE = 'urn:ietf:params:jmap:core'
export const MAIL = 'urn:ietf:params:jmap:mail'
export const SUBMISSION = 'urn:ietf:params:jmap:submission'

export const CAPABILITIES: ReadonlySet<string> = new Set([CORE, MAIL, SUBMISSION])

/** Query results longer than this come in pages. */
export const MAX_QUERY_IDS = 50_000
const MAX_MAILBOX_NAME_BYTES = 255

/** Of the Session object. */
export function serverCapabilities({ limits }: EngineConfig): Record<string, object> {
  return {
    [CORE]: {
      maxSizeUpload: limits.jmapUploadBytes,
      maxConcurrentUpload: limits.jmapConcurrentRequests,
      maxSizeRequest: limits.jmapRequestBytes,
      maxConcurrentRequests: limits.jmapConcurrentRequests,
      maxCallsInRequest: limits.jmapCallsPerRequest,
      maxObjectsInGet: limits.jmapObjectsInGet,
      maxObjectsInSet: limits.jmapObjectsInSet,
      collationAlgorithms: [],
    },
    [MAIL]: {},
    [SUBMISSION]: {},
  }
}

/** Of the account in the Session object. */
export function accountCapabilities({ limits }: EngineConfig): Record<string, object> {
  return {
    [CORE]: {},
    [MAIL]: {
      maxMailboxesPerEmail: null,
      maxMailboxDepth: limits.mailboxDepth,
      maxSizeMailboxName: MAX_MAILBOX_NAME_BYTES,
      maxSizeAttachmentsPerEmail: limits.messageBytes,
      emailQuerySortOptions: emailSortOptions,
      mayCreateTopLevelMailbox: true,
    },
    // No FUTURERELEASE (RFC 4865): submissions go at once.
    [SUBMISSION]: { maxDelayedSend: 0, submissionExtensions: {} },
  }
}
