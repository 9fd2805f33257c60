/** What is said of a paused MailServer. Pure. */

import { PAUSED } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'

export interface Pause {
  /** Of the spec that was looked at before the pause: a newer one is not applied, so the status does not claim it. */
  generation: number
  message: string
}

/** Undefined for a MailServer that is not paused. */
export function pauseOf({ metadata, status }: Pick<MailServer, 'metadata' | 'status'>): Pause | undefined {
  if (metadata.annotations?.[PAUSED] !== 'true') return undefined
  const newest = metadata.generation ?? 0
  const generation = Math.min(Math.max(0, status?.observedGeneration ?? 0), newest)
  const waiting = generation < newest ? `; generation ${newest} of the spec waits` : ''
  return { generation, message: `Annotation ${PAUSED}: the operator changes nothing${waiting}` }
}
