/** Which changes of conditions are worth an Event. Pure: the same status twice tells nothing. */

import { findCondition } from '../kube/conditions.ts'
import type { EventStatement } from '../kube/events.ts'
import type { Condition } from '../kube/types.ts'

const TOLD = ['Ready', 'Stalled', 'DatabaseReady', 'StorageReady', 'CertificateReady', 'DKIMReady', 'DNSReady']

export function transitions(before: readonly Condition[] | undefined, after: readonly Condition[]): EventStatement[] {
  return TOLD.flatMap((type): EventStatement[] => {
    const was = findCondition(before, type)
    const is = findCondition(after, type)
    if (!is || is.status === 'Unknown' || was?.status === is.status) return []
    const good = (is.status === 'True') === (type !== 'Stalled')
    // Not ready yet is how everything begins; no longer ready is news.
    if (!good && type !== 'Stalled' && was?.status !== 'True') return []
    return [
      {
        type: good ? 'Normal' : 'Warning',
        reason: good ? type : is.reason,
        action: 'Reconcile',
        note: `${type}=${is.status}: ${is.message}`,
      },
    ]
  })
}
