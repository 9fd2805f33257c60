/**
 * Deletion. Owner references remove what serves; what is to be done here is what becomes of data: a bucket under
 * deletionPolicy Delete, once the engines that write into it are gone, and then what is in the cluster
 * (data-ownership.ts). Whatever is away by then, the MailServer gets away too; soon where its whole namespace goes, in
 * which nothing comes back.
 */

import { FINALIZER, MailServerResource, SERVER_LABEL, SKIP_CLEANUP } from '../api/group.ts'
import { type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import type { BucketWishes } from '../bucket/client.ts'
import type { Emptied } from '../bucket/emptying.ts'
import { isKubeError } from '../kube/errors.ts'
import { Deployment, Namespace } from '../kube/resources.ts'
import { keyText } from '../kube/types.ts'
import { settleData } from './data-ownership.ts'
import { bucketWishes } from './dependencies/storage.ts'
import { observe } from './observe.ts'
import type { Cleanup, ReconcileDeps } from './reconcile-deps.ts'

/** How long a bucket with which nothing gets on may hold up a deletion. */
const PATIENCE_MS = 10 * 60_000
/** The same in a namespace that is being deleted, for a service outside of it that hiccups. */
const LEAVING_PATIENCE_MS = 60_000
const RETRY_MS = 20_000
/** How long engines may take to end; on a node that is lost, Pods never say that they did. */
const ENGINES_MS = 5 * 60_000
/** The watch tells when the Deployment is gone; this is for the deadline. */
const ENGINES_POLL_MS = 10_000
/** One round of deleting objects; a large bucket takes many, and other servers want to be looked at too. */
const ROUND_MS = 30_000
const NEXT_ROUND_MS = 1_000
/** Between looks whether it is this one's turn. */
const TURN_MS = 2_000

/** Sets the finalizer exactly while data goes with the MailServer: what holds under Retain nobody has to see to. */
export async function keepFinalizer(
  server: MailServer,
  spec: MailServerSpec,
  deps: Pick<ReconcileDeps, 'client' | 'written'>,
): Promise<void> {
  const wanted = spec.deletionPolicy === 'Delete'
  const present = server.metadata.finalizers?.includes(FINALIZER) ?? false
  if (wanted !== present) await setFinalizers(server, deps, wanted)
}

/** @returns when to look again; undefined once the finalizer is gone */
export async function finalize(
  server: MailServer,
  deps: ReconcileDeps,
  signal: AbortSignal = new AbortController().signal,
): Promise<number | undefined> {
  const { name, namespace = '', uid = '', finalizers, annotations } = server.metadata
  if (!finalizers?.includes(FINALIZER)) return undefined
  const key = keyText({ namespace, name })
  const now = +deps.now()
  const known = deps.cleanups.get(key)
  // From the first look of this process: an operator that was away has not been patient meanwhile.
  const cleanup = known?.uid === uid ? known : { uid, begun: now, gotOn: now, over: false, released: false }
  deps.cleanups.set(key, cleanup)
  if (cleanup.released) return undefined // the cache is a moment behind
  if (!cleanup.over && annotations?.[SKIP_CLEANUP] !== 'true') {
    const again = await cleanUp(server, cleanup, deps, signal)
    if (again !== undefined) return again
    cleanup.over = true // and told: a finalizer that cannot be dropped just now does not begin it again
  }
  await settleData(server, deps)
  await setFinalizers(server, deps, false)
  cleanup.released = true
  return undefined
}

/** @returns when to go on; undefined when nothing more is to be done, or can be */
async function cleanUp(
  server: MailServer,
  cleanup: Cleanup,
  deps: ReconcileDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  const now = +deps.now()
  // As they are given: a spec that is no good in another place must not hold up what has no bucket.
  if (!server.spec.storage?.s3 || server.spec.deletionPolicy !== 'Delete') return undefined
  const { name, namespace = '' } = server.metadata
  const key = keyText({ namespace, name })
  const leaving = await isLeaving(namespace, deps)
  const patienceMs = leaving ? LEAVING_PATIENCE_MS : PATIENCE_MS
  const tell = (type: 'Normal' | 'Warning', reason: string, note: string) => {
    // Nothing can be made there any more, no Event either.
    if (leaving) deps.logger[type === 'Warning' ? 'warn' : 'info']({ mailServer: key, reason }, note)
    else deps.events.record(server, { type, reason, action: 'Delete', note })
  }
  try {
    const spec = parseMailServerSpec(server.spec)
    if (!spec.storage.s3) return undefined
    if (!(await enginesGone(server, deps))) {
      if (now - cleanup.begun < ENGINES_MS) {
        cleanup.gotOn = now // nor has the bucket's time begun
        return ENGINES_POLL_MS
      }
      const note = `Deployment ${name} does not end within ${ENGINES_MS / 60_000} minutes`
      tell('Warning', 'EnginesStillThere', `${note}; bucket ${spec.storage.s3.bucket} is emptied anyway`)
    }
    const told = bucketWishes(spec, await observe(server, spec, deps))
    const wishes = told ?? (leaving ? deps.bucketAccess.get(key) : undefined)
    if (!wishes) {
      const why = `Secret ${spec.storage.s3.credentialsSecretRef.name} does not give access any more`
      if (!leaving) throw new Error(why)
      tell('Warning', 'BucketLeftBehind', `Bucket ${spec.storage.s3.bucket} is left as it is: ${why}, and ${leaving}`)
      return undefined
    }
    const emptied = await deps.emptyBucket(wishes, AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]))
    if (!emptied) {
      cleanup.gotOn += TURN_MS // its patience stands still while it waits for others
      return TURN_MS
    }
    const stuck = emptied.outcome === 'unfinished' && emptied.removed === 0
    if (stuck && now - cleanup.gotOn >= patienceMs) throw new Error('nothing of it could be removed in time')
    tell(...newsOf(emptied, wishes))
    if (emptied.outcome !== 'unfinished') return undefined
    if (!stuck) cleanup.gotOn = +deps.now()
    return NEXT_ROUND_MS
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    if (now - cleanup.gotOn < patienceMs) {
      tell('Warning', 'BucketNotRemoved', `The bucket cannot be removed yet, trying again: ${why}`)
      return RETRY_MS
    }
    const { bucket } = server.spec.storage.s3
    const after = leaving ? `, because ${leaving}` : ` after ${PATIENCE_MS / 60_000} minutes`
    tell('Warning', 'BucketLeftBehind', `Bucket ${bucket} is left as it is${after}: ${why}`)
    return undefined
  }
}

/** Says so where the namespace is being deleted. */
async function isLeaving(name: string, { client }: Pick<ReconcileDeps, 'client'>): Promise<string | undefined> {
  try {
    const found = await client.find(Namespace, { namespace: '', name })
    return found && !found.metadata.deletionTimestamp ? undefined : `namespace ${name} is being deleted`
  } catch (error) {
    if (isKubeError(error, 'Forbidden')) return undefined // rights of an older release: then it takes its time
    throw error
  }
}

/**
 * Ends the engines: while they run they write. Deleted in the foreground, a Deployment is there until its Pods are not.
 * @throws KubeError
 */
async function enginesGone(server: MailServer, { client }: Pick<ReconcileDeps, 'client'>): Promise<boolean> {
  const { name, namespace = '', uid } = server.metadata
  const deployment = await client.find(Deployment, { namespace, name })
  if (!deployment) return true
  const { labels, ownerReferences = [], deletionTimestamp } = deployment.metadata
  const controller = ownerReferences.find((reference) => reference.controller)
  // By label too: `kubectl delete --cascade=orphan` takes the owner away.
  if (controller ? controller.uid !== uid : labels?.[SERVER_LABEL] !== name) return true
  if (!deletionTimestamp) {
    const options = {
      propagationPolicy: 'Foreground',
      ...(deployment.metadata.uid ? { uid: deployment.metadata.uid } : {}),
    } as const
    await client.delete(Deployment, { namespace, name }, options)
  }
  return false
}

/** What has become of the bucket, as an Event says it. */
function newsOf(
  emptied: Emptied,
  { bucket, prefix }: BucketWishes,
): [type: 'Normal' | 'Warning', reason: string, note: string] {
  const contents = prefix ? `What was below ${prefix} in bucket ${bucket}` : `What was in bucket ${bucket}`
  switch (emptied.outcome) {
    case 'removed':
      return ['Normal', 'BucketRemoved', `Bucket ${bucket} is removed with everything in it`]
    case 'emptied':
      return ['Normal', 'BucketEmptied', `${contents} is removed; the bucket stays: ${emptied.why}`]
    case 'absent':
      return ['Normal', 'BucketAbsent', `Bucket ${bucket} does not exist any more`]
    case 'foreign':
      return ['Warning', 'BucketNotOurs', `Bucket ${bucket} is left as it is, its mark is not ours: ${emptied.why}`]
    case 'unfinished':
      return ['Normal', 'BucketEmptying', `Bucket ${bucket} is being emptied, which takes a while`]
  }
}

async function setFinalizers(
  server: MailServer,
  { client, written }: Pick<ReconcileDeps, 'client' | 'written'>,
  wanted: boolean,
): Promise<void> {
  const { name, namespace = '', resourceVersion, finalizers = [] } = server.metadata
  const others = finalizers.filter((finalizer) => finalizer !== FINALIZER)
  // With the resourceVersion: a finalizer that somebody else set meanwhile must not be lost.
  const metadata = { resourceVersion, finalizers: wanted ? [...others, FINALIZER] : others }
  written.wrote(server, await client.mergePatch<MailServer>(MailServerResource, { namespace, name }, { metadata }))
}
