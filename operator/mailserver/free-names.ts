/**
 * Whether the names that a new MailServer needs are free. It is looked before the first object is made: a database, a
 * bucket and keys of a server that cannot come to be would only be left behind.
 */

import type { KubeClient, KubeObject } from '../kube/types.ts'
import type { DesiredContext } from './desired/context.ts'
import { foreseenFacts } from './desired/foreseen.ts'
import { desiredObjects } from './desired/objects.ts'
import { readDkimKeys } from './dkim-keys.ts'
import { idOf, resourceOf } from './kinds.ts'
import type { Observed } from './observe.ts'
import { belongsTo, NameTaken } from './ownership.ts'

/**
 * A server that has an object of its own has been through this: what it needs later is looked at when it is made.
 * @returns the first name that is taken; else ids of what is not there, none where nobody looked
 * @throws KubeError
 */
export async function freeNames(
  { server, spec }: Pick<DesiredContext, 'server' | 'spec'>,
  { children, served, addresses }: Pick<Observed, 'children' | 'served' | 'addresses'>,
  client: Pick<KubeClient, 'find'>,
): Promise<NameTaken | ReadonlySet<string>> {
  const free = new Set<string>()
  if ([...children.values()].some((object) => isOwned(object, server.uid))) return free
  const foreseen = foreseenFacts(server, spec, { image: '', addresses })
  const existing = readDkimKeys({ server, spec }, children).dkimKeys
  const dkimKeys = foreseen.dkimKeys.filter(
    ({ domain, algorithm }) => !existing.some((key) => key.domain === domain && key.algorithm === algorithm),
  )
  for (const object of desiredObjects({ server, spec, facts: { ...foreseen, dkimKeys, served } })) {
    if (children.has(idOf(object))) continue
    const { name } = object.metadata
    const found = await client.find(resourceOf(object, served), { namespace: server.namespace, name })
    if (!found) free.add(idOf(object))
    else if (!belongsTo(server, found)) return new NameTaken(found, server.name)
  }
  return free
}

function isOwned({ metadata }: KubeObject, uid: string): boolean {
  return metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid) ?? false
}
