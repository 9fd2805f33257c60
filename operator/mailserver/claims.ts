/**
 * Which installation of the operator acts on a MailServer. Leader election lets one process of an installation work; two
 * installations that watch the same namespace have two Leases, and each would undo what the other does. So each MailServer
 * says in an annotation by whose Lease it is looked after, and whoever has another Lease leaves it alone while that one is
 * held.
 */

import { OPERATOR } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { isKubeError } from '../kube/errors.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { KubeLogger } from '../kube/logger.ts'
import { Lease } from '../kube/resources.ts'
import { type KubeClient, type KubeObject, keyText, type ObjectKey } from '../kube/types.ts'

export interface Claims {
  /** What the annotation has to say; undefined for a process that runs alone, which claims nothing. */
  readonly mark: string | undefined
  /** True when another installation has it, alive or not. */
  isForeign(server: MailServer): boolean
  /**
   * The living other installation that has it, which is told once.
   * @throws KubeError
   */
  heldBy(server: MailServer): Promise<string | undefined>
  /** What is known of a MailServer that is gone is forgotten. */
  forget(server: ObjectKey): void
  /** MailServers that are left to others. */
  held(): number
}

export interface ClaimsOptions {
  client: Pick<KubeClient, 'find'>
  /** By which this installation leads. */
  lease: ObjectKey
  events: Pick<EventRecorder, 'record'>
  logger: KubeLogger
  /** Milliseconds of a clock that never jumps. */
  monotonic?: () => number
}

/** For a process that runs alone. */
export const UNCLAIMED: Claims = {
  mark: undefined,
  isForeign: () => false,
  heldBy: async () => undefined,
  forget() {},
  held: () => 0,
}

type LeaseObject = KubeObject<{ holderIdentity?: string; leaseDurationSeconds?: number; renewTime?: string | null }>

/** A Lease of others as it was last read. */
interface SeenLease {
  text: string
  changedAt: number
  readAt: number
  held: Promise<boolean>
}
const NO = Promise.resolve(false)

/** A Lease is read once for the thousand MailServers that name it. */
const READ_MS = 5_000
const DEFAULT_DURATION_S = 15

export function createClaims(options: ClaimsOptions): Claims {
  const { client, events, logger, monotonic = () => performance.now() } = options
  const mark = keyText(options.lease)
  const told = new Set<string>()
  const leases = new Map<string, SeenLease>()

  /** As in leader election, clocks of others are not compared: held is a Lease that was seen to change of late. */
  async function look(key: ObjectKey, seen: SeenLease): Promise<boolean> {
    const { spec } = (await client.find<LeaseObject>(Lease, key)) ?? {}
    if (!spec?.holderIdentity) return false
    const text = JSON.stringify(spec)
    if (text !== seen.text) Object.assign(seen, { text, changedAt: monotonic() })
    return monotonic() - seen.changedAt < (spec.leaseDurationSeconds ?? DEFAULT_DURATION_S) * 1000
  }

  async function isHeld(holder: string): Promise<boolean> {
    const [namespace = '', name, ...more] = holder.split('/')
    if (!name || more.length > 0) return false // no Lease of anybody
    const seen: SeenLease = leases.get(holder) ?? { text: '', changedAt: 0, readAt: Number.NEGATIVE_INFINITY, held: NO }
    leases.set(holder, seen)
    if (monotonic() - seen.readAt >= READ_MS) {
      seen.readAt = monotonic()
      seen.held = look({ namespace, name }, seen)
    }
    try {
      return await seen.held
    } catch (error) {
      seen.readAt = Number.NEGATIVE_INFINITY
      if (isKubeError(error, 'Forbidden')) return true // what cannot be seen is not taken for dead
      throw error
    }
  }

  const textOf = ({ metadata }: MailServer) => keyText({ namespace: metadata.namespace ?? '', name: metadata.name })
  const holderOf = ({ metadata }: MailServer) => metadata.annotations?.[OPERATOR]
  const isForeign = (server: MailServer) => ![undefined, mark].includes(holderOf(server))

  return {
    mark,
    isForeign,
    async heldBy(server) {
      const holder = holderOf(server)
      if (!isForeign(server) || holder === undefined || !(await isHeld(holder))) {
        told.delete(textOf(server))
        return undefined
      }
      if (told.has(textOf(server))) return holder
      told.add(textOf(server))
      const note = `The operator of Lease ${holder} looks after it; that of Lease ${mark}, which watches it too, leaves it alone`
      logger.warn({ mailServer: textOf(server), lease: mark, holder }, 'another operator looks after this MailServer')
      events.record(server, { type: 'Warning', reason: 'HeldByAnotherOperator', action: 'Reconcile', note })
      return holder
    },
    forget: (server) => void told.delete(keyText(server)),
    held: () => told.size,
  }
}
