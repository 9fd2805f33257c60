/**
 * The MailAccount controller: its caches, and which changes elsewhere concern which accounts; and beside it the one of the
 * accounts that are left behind, by server.
 */

import { isDeepStrictEqual } from 'node:util'
import { ACCOUNT_LABEL, DATABASE, GROUP, MailAccountResource, OPERATOR, SERVER_LABEL } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { KubeApi } from '../kube/client.ts'
import { isCondition } from '../kube/conditions.ts'
import {
  type Controller,
  createController,
  itself,
  moreThanStatus,
  ownersOf,
  ownPriority,
  type Source,
  sourceOf,
} from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { Fence } from '../kube/fence.ts'
import { createLastWritten } from '../kube/last-written.ts'
import type { KubeLogger } from '../kube/logger.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import type { Priority } from '../kube/priority-lanes.ts'
import { startReflector } from '../kube/reflector.ts'
import { keyOf, Secret } from '../kube/resources.ts'
import { type Change, type KubeObject, keyText, type ObjectKey, type Reflector, type Resource } from '../kube/types.ts'
import { type Caches, withoutManagedFields } from '../mailserver/caches.ts'
import type { Claims } from '../mailserver/claims.ts'
import { adminSecretName, databaseCredentialsName, httpServiceName } from '../mailserver/desired/names.ts'
import { isUnremembered } from '../mailserver/held-mail.ts'
import { secretText } from '../mailserver/observe.ts'
import { type AccountIndex, concernedBy, createAccountIndex, isTold, serverOf } from './account-index.ts'
import { openAdminApi } from './admin-api.ts'
import { createCircuitBreaker } from './circuit-breaker.ts'
import { createSliceFinder, readyOrigins } from './engine-endpoint.ts'
import { hasLeftBehind, settleLeftBehind } from './left-behind.ts'
import { type AccountDeps, reconcileAccount } from './reconcile.ts'

export interface MailAccountControllerDeps {
  /** Asked before every change of an engine's accounts. */
  fence: Fence
  client: KubeApi
  caches: Caches
  claims: Pick<Claims, 'isForeign'>
  events: Pick<EventRecorder, 'record'>
  now: () => Date
  logger?: KubeLogger
  metrics?: KubeMetrics
}

export interface MailAccountControllers extends AsyncDisposable {
  readonly controllers: readonly Controller[]
  readonly sources: readonly Source[]
  /** What concerns the MailServers. */
  readonly ofServers: Pick<AccountIndex, 'hasTold'> & {
    /** The server of a first account of which its engines are told. */
    readonly sources: readonly Source[]
  }
}

export function createMailAccountController(
  options: { namespaces: readonly string[]; resyncMs: number },
  deps: MailAccountControllerDeps,
): MailAccountControllers {
  const { client, caches } = deps
  const kubeDeps = {
    ...(deps.logger ? { logger: deps.logger } : {}),
    ...(deps.metrics ? { metrics: deps.metrics } : {}),
  }
  const namespaces: readonly (string | undefined)[] = options.namespaces.length > 0 ? options.namespaces : [undefined]
  const startAll = <T extends KubeObject>(resource: Resource, more: { labelSelector?: string; resyncMs?: number }) =>
    namespaces.map((namespace) =>
      startReflector<T>(
        client,
        resource,
        { ...more, ...(namespace ? { namespace } : {}), transform: withoutManagedFields },
        kubeDeps,
      ),
    )
  const accounts = startAll<MailAccount>(MailAccountResource, { resyncMs: options.resyncMs })
  const passwords = startAll(Secret, { labelSelector: ACCOUNT_LABEL })

  const first = <T extends KubeObject>(reflectors: readonly Reflector<T>[], key: ObjectKey): T | undefined =>
    reflectors.map((reflector) => reflector.get(key)).find((found) => found !== undefined)
  const index = createAccountIndex()
  const written = createLastWritten<MailAccount>()
  const generated: AccountDeps['generated'] = new Map()
  for (const reflector of accounts) {
    reflector.onChange(index.file)
    reflector.onChange(({ object }) => written.seen(object))
  }
  for (const reflector of passwords) reflector.onChange(({ object }) => generated.delete(keyText(keyOf(object))))
  const children = (kind: string) => caches.children.get(kind) ?? []
  const slicesOf = createSliceFinder(client, caches)
  const guard = createCircuitBreaker()
  let turn = 0

  const accountDeps: AccountDeps = {
    client,
    account: (key) => first(accounts, key),
    server: (key) => caches.server(key),
    isForeign: deps.claims.isForeign,
    rivals: index.rivals,
    written,
    passwordSecret: (key) => first(passwords, key),
    generated,
    async engine(server) {
      const admin = first(children('Secret'), { ...server, name: adminSecretName(server.name) })
      const token = admin ? secretText(admin).token : undefined
      if (!token) return undefined
      const credentials = first(children('Secret'), { ...server, name: databaseCredentialsName(server.name) })
      const database = credentials?.metadata.annotations?.[DATABASE] ?? ''
      const origins = readyOrigins(await slicesOf(server), httpServiceName(server.name))
      // In turn, so that thousands of accounts do not fall upon one Pod.
      const origin = origins[turn++ % Math.max(1, origins.length)]
      return { token, database, ...(origin ? { api: guard(origin, openAdminApi(origin, token, deps.fence)) } : {}) }
    },
    lastAsked: new Map(),
    events: deps.events,
    now: deps.now,
    random: Math.random,
  }

  /** Whose changes tell that an engine can be asked now. */
  const announcing = [...children('EndpointSlice'), ...children('Secret')]
  const sources = [
    ...accounts.map((reflector) =>
      sourceOf(
        reflector,
        (change) => {
          if (!moreThanStatus(change)) return []
          return change.previous === change.object ? itself(change) : concernedBy(change, index)
        },
        ownPriority,
      ),
    ),
    ...passwords.map((reflector) => sourceOf(reflector, ownersOf(GROUP, MailAccountResource.kind))),
    ...caches.servers.map((reflector) =>
      sourceOf(
        reflector,
        (change) => (concernsAccounts(change) ? index.of(keyOf(change.object)).map(keyOf) : []),
        ofMany,
      ),
    ),
    ...children('Secret').map((reflector) =>
      sourceOf(reflector, (change) => {
        const server = withAnotherDatabase(change)
        return server ? index.of(server).map(keyOf) : []
      }),
    ),
    // Those who have what they want need no look when it comes back.
    ...announcing.map((reflector) =>
      sourceOf(
        reflector,
        (change) => {
          const server = reachableBy(change)
          return server ? index.of(server).filter(isWaiting).map(keyOf) : []
        },
        ofMany,
      ),
    ),
  ]
  const ifAny = (key: ObjectKey | undefined): ObjectKey[] => {
    const server = key && first(caches.servers, key)
    return server && hasLeftBehind(server) ? [key] : []
  }
  const leftBehind = createController(
    {
      name: 'left-behind',
      sources: [
        ...caches.servers.map((reflector) =>
          sourceOf(reflector, (change) =>
            change.type === 'set' && moreThanStatus(change) && hasLeftBehind(change.object) ? itself(change) : [],
          ),
        ),
        ...announcing.map((reflector) => sourceOf(reflector, (change) => ifAny(reachableBy(change)))),
        ...accounts.map((reflector) => sourceOf(reflector, ({ object }) => ifAny(serverOf(object)))),
      ],
      reconcile: (key) => settleLeftBehind(key, { ...accountDeps, accountsOf: index.of }),
      workers: 1,
    },
    kubeDeps,
  )
  const controller = createController(
    {
      name: 'mailaccount',
      sources,
      reconcile: (key, _signal, failures) => reconcileAccount(key, accountDeps, failures),
      workers: 4,
    },
    kubeDeps,
  )
  return {
    controllers: [controller, leftBehind],
    sources,
    ofServers: {
      hasTold: index.hasTold,
      sources: accounts.map((reflector) =>
        sourceOf(reflector, ({ type, object, previous }) => {
          if (type !== 'set' || !isTold(object) || (previous && isTold(previous))) return []
          const server = caches.server(serverOf(object))
          return server && isUnremembered(server) ? [serverOf(object)] : []
        }),
      ),
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...accounts, ...passwords].map((reflector) => reflector.stop()))
    },
  }
}

/** All accounts of one server must not keep an account of another one waiting. */
const ofMany = ({ isInInitialList }: Change): Priority => (isInInitialList ? 'low' : 'normal')

/** Accounts depend on whether the server is there, on whose it is and on its domains; what else changes in it is none of their business. */
function concernsAccounts({ type, object, previous }: Change<MailServer>): boolean {
  if (type === 'deleted' || !previous) return true
  const of = ({ metadata, spec }: MailServer) => [
    metadata.deletionTimestamp,
    metadata.annotations?.[OPERATOR],
    spec.domains.map(({ name }) => name),
  ]
  return previous !== object && !isDeepStrictEqual(of(previous), of(object))
}

/** The server whose accounts have to be told anew: its database is another one, which may know none of them. */
function withAnotherDatabase({ type, object, previous }: Change): ObjectKey | undefined {
  const { namespace = '', name, labels, annotations } = object.metadata
  const server = labels?.[SERVER_LABEL] ?? ''
  if (type === 'deleted' || name !== databaseCredentialsName(server)) return undefined
  const before = previous?.metadata.annotations?.[DATABASE]
  return before === annotations?.[DATABASE] ? undefined : { namespace, name: server }
}

/** The server whose engine answers from now on: its first Pod is ready, or its token is known. */
function reachableBy({ type, object, previous }: Change): ObjectKey | undefined {
  const { namespace = '', name, labels } = object.metadata
  if (type === 'deleted') return undefined
  if (object.kind === Secret.kind) {
    const server = labels?.[SERVER_LABEL] ?? ''
    return !previous && name === adminSecretName(server) ? { namespace, name: server } : undefined
  }
  const service = labels?.['kubernetes.io/service-name'] ?? ''
  const before = previous ? readyOrigins([previous], service).length : 0
  if (!service.endsWith('-http') || before > 0 || readyOrigins([object], service).length === 0) return undefined
  return { namespace, name: service.slice(0, -'-http'.length) }
}

function isWaiting({ metadata, status }: MailAccount): boolean {
  return (
    !isCondition(status?.conditions, 'Ready', 'True', metadata.generation) || metadata.deletionTimestamp !== undefined
  )
}
