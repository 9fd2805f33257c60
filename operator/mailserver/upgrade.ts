/**
 * Which image the engines get while the spec asks for another one than they run: the new one only when it is this
 * MailServer's turn and the image's own preflight has said yes. Pure; the turns are in upgrade-turns.ts.
 */

import { findCondition } from '../kube/conditions.ts'
import type { Condition, KubeObject } from '../kube/types.ts'
import type { Trouble } from './conditions.ts'
import { PREFLIGHT_EXIT } from './desired/preflight.ts'

export interface UpgradeFacts {
  /** What the spec asks for, or what is pinned. */
  wanted: string
  /** What the operator rendered last (status.image). */
  rendered: string | undefined
  /** In the Deployment's template; undefined without one. */
  running: string | undefined
  /** The image that a person lets through without a preflight. */
  skipPreflight: string | undefined
  /** Takes the turn of this MailServer, or names who has it. Called only when there is something to upgrade. */
  takeTurn: () => { taken: true } | { taken: false; busy: string }
  /** The Job that checks `wanted`: as it is desired, and as it is. */
  preflight: () => { desired: KubeObject; live: KubeObject | undefined }
  previous: readonly Condition[] | undefined
  now: Date
}

export interface Upgrade {
  /** For the Pod template. */
  image: string
  /** The preflight Job, while it is desired. */
  job: KubeObject | undefined
  /** Whether the MailServer gives its turn back when no rollout of it is on its way. */
  turnOver: boolean
  progress?: string
  trouble?: Trouble
  /** When to look again without an event. */
  pollMs?: number
}

/** A preflight that came to no answer (image not pulled, database away) is made again after this. */
export const PREFLIGHT_RETRY_MS = 15 * 60_000
/** Whose turn comes is told; this is for a word that was lost. */
const TURN_POLL_MS = 5 * 60_000
const UNANSWERED = 'PreflightFailed'

/** Which image is wanted: the spec's, else what was pinned when the server was made, so that a new operator restarts nothing. */
export function wantedImage(
  asked: string | undefined,
  facts: Pick<UpgradeFacts, 'rendered' | 'running'>,
  fallback: string | undefined,
): string | undefined {
  return asked ?? facts.rendered ?? facts.running ?? fallback
}

export function runningImage(deployment: KubeObject | undefined): string | undefined {
  type Template = { template?: { spec?: { containers?: { name: string; image?: string }[] } } }
  const containers = (deployment?.spec as Template | undefined)?.template?.spec?.containers
  return containers?.find(({ name }) => name === 'engine')?.image
}

export function upgradeOf(facts: UpgradeFacts): Upgrade {
  const { wanted, rendered, running, skipPreflight } = facts
  // An image that somebody else put into the Deployment is no upgrade: it is set back at once.
  if (running === undefined || running === wanted || rendered === wanted) {
    return { image: wanted, job: undefined, turnOver: true }
  }
  const image = rendered ?? running
  const preflight = skipPreflight === wanted ? undefined : facts.preflight()
  const failed = preflight && ended(preflight.live, 'Failed')
  // An answer stands whoever's turn it is, and whoever is refused needs none.
  if (preflight && failed) return failure(image, preflight.desired, failed, facts)
  const turn = facts.takeTurn()
  if (!turn.taken) {
    const progress = `Image ${wanted} waits until MailServer ${turn.busy} is upgraded`
    return { image, job: undefined, turnOver: false, progress, pollMs: TURN_POLL_MS }
  }
  if (!preflight) return { image: wanted, job: undefined, turnOver: false }
  return checked(image, preflight, facts)
}

/** The condition by which a Job says that it has ended so. */
function ended(job: KubeObject | undefined, type: 'Complete' | 'Failed'): Condition | undefined {
  const { conditions } = (job?.status ?? {}) as { conditions?: Condition[] }
  const found = findCondition(conditions, type)
  return found?.status === 'True' ? found : undefined
}

/** In its turn, while the preflight has not failed. */
function checked(
  image: string,
  { desired: job, live }: ReturnType<UpgradeFacts['preflight']>,
  { wanted, previous }: UpgradeFacts,
): Upgrade {
  const { name } = job.metadata
  // The Job stays until the new image is seen in the Deployment: until then nothing else would tell that it passed.
  if (ended(live, 'Complete')) {
    return { image: wanted, job, turnOver: false, progress: `Image ${wanted} has passed Job ${name}` }
  }
  const stalled = findCondition(previous, 'Stalled')
  // Tried again: what was said stays said until there is another answer.
  if (stalled?.reason === UNANSWERED && stalled.message.includes(name)) {
    return { image, job, turnOver: false, trouble: { reason: UNANSWERED, message: stalled.message } }
  }
  return { image, job, turnOver: false, progress: `Job ${name} checks image ${wanted}` }
}

function failure(image: string, job: KubeObject, failed: Condition, { wanted, now }: UpgradeFacts): Upgrade {
  const { name } = job.metadata
  const goesOn = `the engines go on with ${image}`
  const refused = (reason: string, why: string): Upgrade => {
    const message = `Image ${wanted} is refused: ${why}; ${goesOn}. The log of Job ${name} has the details`
    return { image, job, turnOver: true, trouble: { reason, message } }
  }
  const code = failed.reason === 'PodFailurePolicy' ? Number(/exit code (\d+)/.exec(failed.message)?.[1]) : undefined
  if (code === PREFLIGHT_EXIT.schemaNewer) {
    return refused('DowngradeRefused', 'the database has a schema migration that it does not know')
  }
  if (code === PREFLIGHT_EXIT.configNotUnderstood) {
    return refused('ConfigNotUnderstood', 'it does not understand the configuration')
  }
  const left = Date.parse(failed.lastTransitionTime) + PREFLIGHT_RETRY_MS - +now
  const minutes = PREFLIGHT_RETRY_MS / 60_000
  const message = `Job ${name} could not check image ${wanted} (${failed.reason}: ${failed.message}); ${goesOn}. It is tried again every ${minutes} minutes`
  // Not desired for one look: it is pruned, and the next look makes it anew.
  return {
    image,
    job: left > 0 ? job : undefined,
    turnOver: true,
    trouble: { reason: UNANSWERED, message },
    pollMs: Math.max(left, 1_000),
  }
}
