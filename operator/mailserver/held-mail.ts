/**
 * What has held the mail of a MailServer, as its status remembers it, and whether that is still there. In an empty
 * database nobody has an account, so the engines would refuse all mail for good (550) where they only defer it while the
 * database is away; and in an empty bucket mail of before would seem gone. What is lost is therefore not replaced before
 * somebody has said that it may be, or how it comes back. Pure.
 */

import { ACCEPT_LOSS } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { databaseName } from './desired/names.ts'
import { askedRecovery, performedRecovery } from './desired/recovery.ts'
import { idFor } from './kinds.ts'
import type { Observed } from './observe.ts'

/** Empty for a server that had no account yet, and for one whose status was lost: then nothing can be missed. */
export interface HeldMail {
  /** Of the Cluster with the mail. */
  clusterUid?: string
  /** The recovery that this Cluster was made by. */
  recovery?: string
  /** Since when there is mail in the bucket, RFC 3339. */
  bucketSince?: string
}

/**
 * What holds the mail, without what somebody has accepted to have lost. It is not written to the status again, so an
 * acceptance holds also when the annotation is taken away before its work is done.
 */
export function heldMail({ metadata, status }: Pick<MailServer, 'metadata' | 'status'>): HeldMail {
  const accepted = metadata.annotations?.[ACCEPT_LOSS]?.split(',').map((text) => text.trim()) ?? []
  const { clusterUid, recovery } = status?.database ?? {}
  const { since } = status?.storage ?? {}
  return {
    ...(clusterUid === undefined || accepted.includes(clusterUid)
      ? {}
      : { clusterUid, ...(recovery === undefined ? {} : { recovery }) }),
    ...(since === undefined || accepted.includes(since) ? {} : { bucketSince: since }),
  }
}

/** From its first account on there is something to remember; this one's status says nothing of it yet. */
export function isUnremembered({ status }: Pick<MailServer, 'status'>): boolean {
  const { database, storage } = status ?? {}
  return (
    (database?.kind === 'CloudNativePG' && database.clusterUid === undefined) ||
    (storage?.kind === 'S3' && storage.since === undefined)
  )
}

/**
 * The uid of the Cluster that held the mail and is gone, whether or not somebody else has made another one of its name.
 * A recovery that the spec asks for brings the mail back, and is carried out; but not the one that the lost Cluster itself
 * was made by: it would quietly bring back the mail of then without what came since.
 * @returns undefined while it is there, while there was none, and where another database is wanted
 */
export function lostCluster(
  spec: MailServerSpec,
  { clusterUid, recovery }: HeldMail,
  { key, served, children }: Pick<Observed, 'key' | 'served' | 'children'>,
): string | undefined {
  if (!spec.database.cnpg || !served.Cluster) return undefined
  const cluster = children.get(idFor({ kind: 'Cluster' }, databaseName(key.name)))
  if (cluster && cluster.metadata.uid === clusterUid) return undefined
  const restored = cluster ? performedRecovery(cluster) : askedRecovery(spec)
  return restored !== undefined && restored !== recovery ? undefined : clusterUid
}
