/** Which changes of conditions are worth an Event. Pure: the same status twice tells nothing. */

import { findCondition } from '../kube/conditions.ts'
import type { EventStatement } from '../kube/events.ts'
import type { Condition } from '../kube/types.ts'
import { WARNINGS } from './dependencies/statement.ts'

const TOLD = [
  'Ready',
  'Stalled',
  'DatabaseReady',
  'StorageReady',
  'CertificateReady',
  'DKIMReady',
  'DNSReady',
  'SpamRulesReady',
  'DomainsReady',
]
/** Of which only warnings are: that engines come and go is told as Ready. */
const WARNED_OF = ['EngineAvailable']

export function transitions(before: readonly Condition[] | undefined, after: readonly Condition[]): EventStatement[] {
  return [...TOLD, ...WARNED_OF].flatMap((type): EventStatement[] => {
    const was = findCondition(before, type)
    const is = findCondition(after, type)
    // Whatever was before: that there is something to do is news. Ready names it too, which is none.
    if (is && type !== 'Ready' && WARNINGS.includes(is.reason)) {
      return was?.reason === is.reason
        ? []
        : [{ type: 'Warning', reason: is.reason, action: 'Reconcile', note: `${type}=${is.status}: ${is.message}` }]
    }
    if (WARNED_OF.includes(type)) return []
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
