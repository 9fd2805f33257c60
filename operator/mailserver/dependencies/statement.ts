/** What is said of one thing a MailServer depends on; conditions.ts turns it into a condition. */

import type { Condition } from '../../kube/types.ts'

export type DependencyType =
  | 'DatabaseReady'
  | 'StorageReady'
  | 'CertificateReady'
  | 'DKIMReady'
  | 'DNSReady'
  | 'EngineAvailable'
  | 'NetworkReady'
  | 'BackupReady'
  | 'RoutesReady'
  | 'MonitoringReady'
  | 'SpamRulesReady'
  | 'DomainsReady'

export interface Statement {
  type: DependencyType
  status: Condition['status']
  /** CamelCase. */
  reason: string
  /** Names the object to look at. */
  message: string
  /** Waiting longer than this is Stalled. Without it a wait may last. */
  deadlineMs?: number
  /** When this wait began, RFC 3339, if it can be after the condition was last True: another may have come before it. */
  since?: string | undefined
  /** Nothing but a change by a person helps. */
  terminal?: boolean
  /** No watch event will tell when it changes: look again after this. */
  pollMs?: number
}

/** Reason of an engine that is not wanted to run: as ready as it is wished to be, and yet nobody answers. */
export const SCALED_TO_ZERO = 'ScaledToZero'

/**
 * Reasons, of True and of False, that ask somebody to act and keep no server from being Ready: Ready names the first,
 * and an Event tells when it comes.
 */
export const WARNINGS: readonly string[] = [
  'NameMissing',
  'ExpiresSoon',
  'RotationOverdue',
  'RotationNotVerified',
  'KeyLeftOut',
  'RelaySecretMissing',
  'RelaySecretIncomplete',
  'SpamRulesLeftOut',
  'DomainShared',
]

export const MINUTE_MS = 60_000
/** For objects that no watch of ours sees: foreign Secrets, CRDs. */
export const POLL_MS = 10_000

export const ok = (type: DependencyType, reason: string, message: string): Statement => ({
  type,
  status: 'True',
  reason,
  message,
})

export const waiting = (
  type: DependencyType,
  reason: string,
  message: string,
  more: Pick<Statement, 'deadlineMs' | 'since' | 'pollMs' | 'terminal'> = {},
): Statement => ({ type, status: 'False', reason, message, deadlineMs: 15 * MINUTE_MS, ...more })
