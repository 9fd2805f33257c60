/** What Gateways say of the routes of a MailServer. Pure. */

import { findCondition } from '../kube/conditions.ts'
import type { Condition, KubeObject } from '../kube/types.ts'

interface ParentRef {
  name: string
  namespace?: string
  sectionName?: string
}

export const isMailRoute = ({ kind }: KubeObject): boolean => kind === 'TCPRoute'
export const isRoute = (object: KubeObject): boolean => object.kind === 'HTTPRoute' || isMailRoute(object)

/** Why a Gateway does not lead a route of ours; undefined where each controller that looked at it has taken it up. */
export function routeTrouble(
  route: KubeObject,
): { reason: 'NotAccepted' | 'RefsNotResolved'; message: string } | undefined {
  const { parents = [] } = (route.status ?? {}) as { parents?: { parentRef?: ParentRef; conditions?: Condition[] }[] }
  // What a Gateway says that the route left may stay in its status.
  const asked = reference(parentOf(route), route)
  const told = parents.filter(({ parentRef }) => reference(parentRef, route) === asked)
  if (told.length === 0) return { reason: 'NotAccepted', message: 'no Gateway has looked at it yet' }
  for (const { conditions } of told) {
    const accepted = findCondition(conditions, 'Accepted')
    if (accepted?.status === 'True') continue
    return { reason: 'NotAccepted', message: accepted?.message || accepted?.reason || 'not accepted yet' }
  }
  for (const { conditions } of told) {
    const resolved = findCondition(conditions, 'ResolvedRefs')
    if (resolved?.status !== 'False') continue
    return { reason: 'RefsNotResolved', message: resolved.message || resolved.reason }
  }
  return undefined
}

/** Each of our routes has one. */
export function parentOf({ spec }: KubeObject): ParentRef | undefined {
  return (spec as { parentRefs?: ParentRef[] } | undefined)?.parentRefs?.[0]
}

function reference(parent: ParentRef | undefined, { metadata }: KubeObject): string {
  return `${parent?.namespace ?? metadata.namespace ?? ''}/${parent?.name ?? ''}/${parent?.sectionName ?? ''}`
}
