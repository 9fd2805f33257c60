/** Finding the MailServers that a command is about. */

import { GROUP, MailServerResource, PAUSED } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { findCondition } from '../kube/conditions.ts'
import { isKubeError } from '../kube/errors.ts'
import type { KubeClient } from '../kube/types.ts'

/** Which objects: one by name, or all of a namespace (undefined: of the cluster). */
export interface Selection {
  name: string | undefined
  namespace: string | undefined
}

/** What a person has to know, without a stack. */
export class CommandError extends Error {
  override name = 'CommandError'
}

type Reader = Pick<KubeClient, 'get' | 'list' | 'discover'>

/**
 * @returns none only where none is named
 * @throws CommandError when the named one is not there, or the cluster does not know the kind; KubeError
 */
export async function findServers(client: Reader, { name, namespace }: Selection): Promise<MailServer[]> {
  try {
    if (name) return [await client.get<MailServer>(MailServerResource, { namespace: namespace ?? '', name })]
    const { items } = await client.list<MailServer>(MailServerResource, namespace === undefined ? {} : { namespace })
    return items
  } catch (error) {
    if (!isKubeError(error, 'NotFound')) throw error
    if (!(await client.discover(GROUP, MailServerResource.kind))) {
      throw new CommandError('this cluster knows no MailServers: is the operator installed?')
    }
  }
  throw new CommandError(`there is no MailServer ${name} in ${placeOf(namespace)}`)
}

/** Of a selection, in words. */
export const placeOf = (namespace: string | undefined): string =>
  namespace === undefined ? 'the cluster' : `namespace ${namespace}`

/** @throws CommandError, KubeError */
export async function findServer(client: Reader, name: string, namespace: string): Promise<MailServer> {
  const [server] = await findServers(client, { name, namespace })
  if (!server) throw new CommandError(`there is no MailServer ${name} in namespace ${namespace}`)
  return server
}

export const isPaused = ({ metadata }: Pick<MailServer, 'metadata'>) => metadata.annotations?.[PAUSED] === 'true'

/** Ready, about the spec as it stands. */
export function isReady({ metadata, status }: Pick<MailServer, 'metadata' | 'status'>): boolean {
  const current = (status?.observedGeneration ?? -1) >= (metadata.generation ?? 0)
  return current && findCondition(status?.conditions, 'Ready')?.status === 'True'
}
