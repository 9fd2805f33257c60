/** Tells: the status of a MailServer, and the Events that its transitions are worth. */

import { isDeepStrictEqual } from 'node:util'
import { API_VERSION, MailServerResource, STATUS_MANAGER } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { MailServerStatus } from '../api/mail-server-status.ts'
import { failureText } from '../kube/errors.ts'
import type { ObjectKey } from '../kube/types.ts'
import { judge, sortedConditions, type Trouble } from './conditions.ts'
import { pauseOf } from './pause.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { transitions } from './transitions.ts'

type Deps = Pick<ReconcileDeps, 'client' | 'caches' | 'written' | 'events' | 'now'>

/** Tells what stands in the way of everything else. */
export async function tellTrouble(server: MailServer, trouble: Trouble, deps: Deps): Promise<void> {
  const { generation = 0 } = server.metadata
  const previous = server.status?.conditions
  const { conditions } = judge({ generation, previous, statements: [], trouble, now: deps.now() })
  await writeStatus(server, { ...server.status, observedGeneration: generation, conditions }, deps)
}

/** Tells why a try failed. It is thrown on in any case, so an API that does not take the status either is no news. */
export async function tellFailure(key: ObjectKey, error: unknown, deps: Deps): Promise<void> {
  // As it is now: the try may have written the status before it failed.
  const server = deps.written.newest(key, deps.caches.server(key))
  if (!server) return
  const generation = pauseOf(server)?.generation ?? server.metadata.generation ?? 0
  const previous = server.status?.conditions
  const failure = failureText(error)
  const { conditions } = judge({ generation, previous, statements: [], failure, now: deps.now() })
  await writeStatus(server, { ...server.status, observedGeneration: generation, conditions }, deps).catch(() => {})
}

/**
 * Writes the status when it says something new, and an Event for each transition in it.
 * @returns the MailServer as it is then: a CRD of before leaves out what it does not know
 */
export async function writeStatus(server: MailServer, status: MailServerStatus, deps: Deps): Promise<MailServer> {
  const before = server.status && { ...server.status, conditions: sortedConditions(server.status.conditions ?? []) }
  if (isDeepStrictEqual(status, before)) return server
  const { name, namespace } = server.metadata
  const object = {
    apiVersion: API_VERSION,
    kind: MailServerResource.kind,
    metadata: { name, namespace: namespace ?? '' },
    status,
  }
  const options = { fieldManager: STATUS_MANAGER, subresource: 'status' } as const
  const after = await deps.client.apply<MailServer>(MailServerResource, object, options)
  deps.written.wrote(server, after)
  for (const event of transitions(server.status?.conditions, status.conditions ?? [])) deps.events.record(server, event)
  return after
}
