/** The MailAccount controller: its caches, and which changes elsewhere concern which accounts. */

import { ACCOUNT_LABEL, GROUP, MailAccountResource } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { KubeApi } from '../kube/client.ts'
import {
  type Controller,
  createController,
  itself,
  moreThanStatus,
  ownersOf,
  type Source,
  sourceOf,
} from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { KubeLogger } from '../kube/logger.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import { startReflector } from '../kube/reflector.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeObject, ObjectKey, Reflector, Resource } from '../kube/types.ts'
import type { Caches } from '../mailserver/caches.ts'
import { adminSecretName, httpServiceName } from '../mailserver/desired/names.ts'
import { secretText } from '../mailserver/observe.ts'
import { openAdminApi } from './admin-api.ts'
import { createSliceFinder, readyOrigins } from './engine-endpoint.ts'
import { type AccountDeps, reconcileAccount } from './reconcile.ts'

export interface MailAccountControllerDeps {
  client: KubeApi
  caches: Caches
  events: Pick<EventRecorder, 'record'>
  now: () => Date
  logger?: KubeLogger
  metrics?: KubeMetrics
}

export function createMailAccountController(
  options: { namespaces: readonly string[]; resyncMs: number },
  deps: MailAccountControllerDeps,
): { controller: Controller; sources: readonly Source[] } & AsyncDisposable {
  const { client, caches } = deps
  const kubeDeps = {
    ...(deps.logger ? { logger: deps.logger } : {}),
    ...(deps.metrics ? { metrics: deps.metrics } : {}),
  }
  const namespaces: readonly (string | undefined)[] = options.namespaces.length > 0 ? options.namespaces : [undefined]
  const startAll = <T extends KubeObject>(resource: Resource, more: { labelSelector?: string; resyncMs?: number }) =>
    namespaces.map((namespace) =>
      startReflector<T>(client, resource, { ...more, ...(namespace ? { namespace } : {}) }, kubeDeps),
    )
  const accounts = startAll<MailAccount>(MailAccountResource, { resyncMs: options.resyncMs })
  const passwords = startAll(Secret, { labelSelector: ACCOUNT_LABEL })

  const first = <T extends KubeObject>(reflectors: readonly Reflector<T>[], key: ObjectKey): T | undefined =>
    reflectors.map((reflector) => reflector.get(key)).find((found) => found !== undefined)
  const accountsOf = ({ namespace, name }: ObjectKey): ObjectKey[] =>
    accounts
      .flatMap((reflector) => reflector.list(namespace))
      .filter(({ spec }) => spec?.serverRef?.name === name)
      .map(({ metadata }) => ({ namespace, name: metadata.name }))
  const keyOf = ({ metadata }: KubeObject, name = metadata.name) => ({ namespace: metadata.namespace ?? '', name })
  const children = (kind: string) => caches.children.get(kind) ?? []
  const slicesOf = createSliceFinder(client, children('EndpointSlice'))
  let turn = 0

  const accountDeps: AccountDeps = {
    client,
    account: (key) => first(accounts, key),
    server: (key) => caches.server(key),
    passwordSecret: (key) => first(passwords, key),
    async engine(server) {
      const admin = first(children('Secret'), { ...server, name: adminSecretName(server.name) })
      const token = admin ? secretText(admin).token : undefined
      if (!token) return undefined
      const service = httpServiceName(server.name)
      const origins = readyOrigins(await slicesOf({ namespace: server.namespace, name: service }), service)
      // In turn, so that thousands of accounts do not fall upon one Pod.
      const origin = origins[turn++ % Math.max(1, origins.length)]
      return origin ? { api: openAdminApi(origin, token), token } : undefined
    },
    lastAsked: new Map(),
    events: deps.events,
    now: deps.now,
    random: Math.random,
  }

  const sources = [
    ...accounts.map((reflector) => sourceOf(reflector, (change) => (moreThanStatus(change) ? itself(change) : []))),
    ...passwords.map((reflector) => sourceOf(reflector, ownersOf(GROUP, MailAccountResource.kind))),
    ...caches.servers.map((reflector) =>
      sourceOf(reflector, (change) =>
        moreThanStatus(change) && change.previous !== change.object ? accountsOf(keyOf(change.object)) : [],
      ),
    ),
    ...children('EndpointSlice').map((reflector) =>
      sourceOf(reflector, ({ object, previous }) => {
        const service = object.metadata.labels?.['kubernetes.io/service-name'] ?? ''
        const before = previous ? readyOrigins([previous], service).length : 0
        if (!service.endsWith('-http') || before > 0 || readyOrigins([object], service).length === 0) return []
        return accountsOf(keyOf(object, service.slice(0, -'-http'.length)))
      }),
    ),
  ]
  const controller = createController(
    { name: 'mailaccount', sources, reconcile: (key) => reconcileAccount(key, accountDeps), workers: 4 },
    kubeDeps,
  )
  return {
    controller,
    sources,
    async [Symbol.asyncDispose]() {
      await Promise.all([...accounts, ...passwords].map((reflector) => reflector.stop()))
    },
  }
}
