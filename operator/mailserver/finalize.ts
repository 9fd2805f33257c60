/**
 * Deletion. Owner references remove what is in the cluster, so the only thing to do here is a bucket under
 * deletionPolicy Delete; and whatever is away by then, the MailServer gets away too.
 */

import { FINALIZER, MailServerResource, SKIP_CLEANUP } from '../api/group.ts'
import { type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { bucketWishes } from './dependencies/storage.ts'
import { observe } from './observe.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/** How long a bucket that cannot be reached may hold up a deletion. */
const PATIENCE_MS = 10 * 60_000
const RETRY_MS = 20_000
/** One round of deleting objects; a large bucket takes several. */
const ROUND_MS = 90_000

/** Sets the finalizer exactly while there is something outside of the cluster to remove. */
export async function keepFinalizer(
  server: MailServer,
  spec: MailServerSpec,
  { client }: Pick<ReconcileDeps, 'client'>,
): Promise<void> {
  const wanted = spec.deletionPolicy === 'Delete' && spec.storage.s3 !== undefined
  const present = server.metadata.finalizers?.includes(FINALIZER) ?? false
  if (wanted !== present) await setFinalizers(server, client, wanted)
}

/** @returns when to look again; undefined once the finalizer is gone */
export async function finalize(
  server: MailServer,
  deps: ReconcileDeps,
  signal: AbortSignal = new AbortController().signal,
): Promise<number | undefined> {
  if (!server.metadata.finalizers?.includes(FINALIZER)) return undefined
  const started = Date.parse(server.metadata.deletionTimestamp ?? '')
  const tell = (type: 'Normal' | 'Warning', reason: string, note: string) =>
    deps.events.record(server, { type, reason, action: 'Delete', note })
  if (server.metadata.annotations?.[SKIP_CLEANUP] !== 'true') {
    try {
      await removeBucket(server, deps, AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]))
      tell('Normal', 'BucketRemoved', 'The bucket’s contents are removed')
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (+deps.now() - started < PATIENCE_MS) {
        tell('Warning', 'BucketNotRemoved', `The bucket cannot be removed yet, trying again: ${why}`)
        return RETRY_MS
      }
      tell('Warning', 'BucketLeftBehind', `The bucket is left as it is after ${PATIENCE_MS / 60_000} minutes: ${why}`)
    }
  }
  await setFinalizers(server, deps.client, false)
  return undefined
}

/** @throws Error while it cannot be done */
async function removeBucket(server: MailServer, deps: ReconcileDeps, signal: AbortSignal): Promise<void> {
  const spec = parseMailServerSpec(server.spec)
  if (spec.deletionPolicy !== 'Delete' || !spec.storage.s3) return
  const wishes = bucketWishes(spec, await observe(server, spec, deps))
  if (!wishes) throw new Error(`Secret ${spec.storage.s3.credentialsSecretRef.name} does not give access any more`)
  await deps.emptyBucket(wishes, signal)
}

async function setFinalizers(server: MailServer, client: ReconcileDeps['client'], wanted: boolean): Promise<void> {
  const { name, namespace = '', resourceVersion, finalizers = [] } = server.metadata
  const others = finalizers.filter((finalizer) => finalizer !== FINALIZER)
  // With the resourceVersion: a finalizer that somebody else set meanwhile must not be lost.
  const metadata = { resourceVersion, finalizers: wanted ? [...others, FINALIZER] : others }
  await client.mergePatch(MailServerResource, { namespace, name }, { metadata })
}
