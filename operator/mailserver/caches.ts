/**
 * The caches a reconcile reads: MailServers, their objects by label in the watched namespaces, and the kinds of others
 * as soon as the API serves them, and the Gateways that are named. Foreign Secrets are never in them.
 */

import { MailServerResource, PAUSED, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { KubeApi } from '../kube/client.ts'
import { itself, moreThanStatus, ownPriority, type Source, sourceOf } from '../kube/controller.ts'
import { type KubeLogger, silentLogger } from '../kube/logger.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import { startReflector } from '../kube/reflector.ts'
import { Deployment, keyOf } from '../kube/resources.ts'
import { type Change, type KubeObject, keyText, type ObjectKey, type Reflector, type Resource } from '../kube/types.ts'
import { untilSynced } from '../kube/until-synced.ts'
import { isReplacingPods, rolloutOf } from './dependencies/engine.ts'
import { POOLER_LABEL } from './desired/pooler.ts'
import { type Gateways, startGateways } from './gateways.ts'
import { BUILT_IN, idOf, OPTIONAL, OPTIONAL_KINDS, type OptionalKind } from './kinds.ts'

export interface CachesOptions {
  /** Empty: all namespaces. */
  namespaces: readonly string[]
  /** Every MailServer is looked at again after this long, with jitter. */
  resyncMs: number
}

export interface CachesDeps {
  client: KubeApi
  logger?: KubeLogger
  metrics?: KubeMetrics
}

export interface Caches extends AsyncDisposable {
  readonly servers: readonly Reflector<MailServer>[]
  /** By kind: EndpointSlice, Secret, … */
  readonly children: ReadonlyMap<string, readonly Reflector[]>
  /** @throws KubeError when it is not known and the API lets us read no MailServers of its namespace */
  server(key: ObjectKey): MailServer | undefined
  /**
   * Objects with the server's label, ours or not, by id ("Secret/stalwart-admin").
   * @throws KubeError when the API does not let us read some kind in its namespace: what is not seen is not missing
   */
  childrenOf(key: ObjectKey): Map<string, KubeObject>
  /**
   * The kind of somebody else as it is served now; undefined when it is not. Starts its watch the first time, and waits
   * for its objects in the namespace. That another version is served shows within ten minutes.
   * @throws KubeError when they do not come, e.g. for want of a right
   */
  optional(kind: OptionalKind, namespace: string): Promise<Resource | undefined>
  /** The same as far as it is known, without asking. */
  known(kind: OptionalKind): Resource | undefined
  /** The Gateways that MailServers name. */
  gateways: Pick<Gateways, 'look' | 'forget'>
  /** The servers whose engines are being replaced, as their Deployments say; not those that are paused. */
  rolling(): ObjectKey[]
  /** Where the controller's keys come from. */
  sources(): Source[]
  /** Longest silence of any watch, for health. */
  sinceLastContactMs(): number
}

export function startCaches(options: CachesOptions, deps: CachesDeps): Caches {
  const { client, logger = silentLogger } = deps
  const namespaces: readonly (string | undefined)[] = options.namespaces.length > 0 ? options.namespaces : [undefined]
  const reflectorDeps = { ...(deps.logger ? { logger } : {}), ...(deps.metrics ? { metrics: deps.metrics } : {}) }
  const gateways = startGateways(options, { client, ...reflectorDeps })
  const optional = new Map<OptionalKind, { resource: Resource; reflectors: Reflector[] }>()
  /** Kinds that some spec asks for and that are not served. */
  const missing = new Set<OptionalKind>()
  const listeners: Parameters<Source['connect']>[0][] = []

  const startAll = <T extends KubeObject>(resource: Resource, more: { labelSelector?: string; resyncMs?: number }) =>
    namespaces.map((namespace) =>
      startReflector<T>(
        client,
        resource,
        { ...more, ...(namespace ? { namespace } : {}), transform: withoutManagedFields },
        reflectorDeps,
      ),
    )

  const servers = startAll<MailServer>(MailServerResource, { resyncMs: options.resyncMs })
  const children = new Map(
    BUILT_IN.map((resource) => [resource.kind, startAll(resource, { labelSelector: SERVER_LABEL })]),
  )

  // By server, so that looking at one of a thousand does not go through the objects of all.
  const byServer = new Map<string, Map<string, KubeObject>>()
  function file({ type, object, previous }: Change): void {
    const before = previous && ownerText(previous)
    const now = type === 'set' ? ownerText(object) : undefined
    for (const owner of new Set([before, ownerText(object)])) {
      if (owner === undefined || owner === now) continue
      const siblings = byServer.get(owner)
      siblings?.delete(idOf(object))
      if (siblings?.size === 0) byServer.delete(owner)
    }
    if (now === undefined) return
    const siblings = byServer.get(now) ?? new Map<string, KubeObject>()
    siblings.set(idOf(object), object)
    byServer.set(now, siblings)
  }
  for (const reflector of [...children.values()].flat()) reflector.onChange(file)

  /** The reflector that reads a namespace, of those that startAll made. */
  const readerOf = <T extends KubeObject>(reflectors: readonly Reflector<T>[], namespace: string) =>
    reflectors[options.namespaces.length > 0 ? options.namespaces.indexOf(namespace) : 0]
  function refuseUnread(reader: Pick<Reflector, 'unreadable'> | undefined): void {
    const refused = reader?.unreadable()
    if (refused) throw refused
  }

  function startOptional(kind: OptionalKind, resource: Resource) {
    logger.info({ group: resource.group, kind, version: resource.version }, 'kind is served, watching it')
    const entry = { resource, reflectors: startAll(resource, { labelSelector: SERVER_LABEL }) }
    optional.set(kind, entry)
    for (const reflector of entry.reflectors) {
      reflector.onChange(file)
      sourceOf(reflector, serversOf).connect((key, priority) => {
        for (const listener of listeners) listener(key, priority)
      })
    }
    return entry
  }

  async function discover(kind: OptionalKind): Promise<Resource | undefined> {
    const resource = await client.discover(OPTIONAL[kind].group, OPTIONAL[kind].kind)
    const known = optional.get(kind)
    if (known && known.resource.version !== resource?.version) await stopOptional(kind)
    if (resource && !optional.has(kind)) startOptional(kind, resource)
    // Whoever waits for it has no objects of it, so nothing else would tell them.
    if (resource && missing.delete(kind)) tellAll()
    return resource
  }

  function tellAll(): void {
    for (const key of servers.flatMap((reflector) => reflector.list()).map(keyOf)) {
      for (const listener of listeners) listener(key, 'normal')
    }
  }

  async function discoverEach(kinds: Iterable<OptionalKind>): Promise<void> {
    for (const kind of kinds) {
      if (stopped) return
      await discover(kind).catch((error: unknown) => logger.debug({ err: error, kind }, 'discovery failed'))
    }
  }
  let stopped = false
  // All of them, for what nobody asks for any more and that is still there.
  const discovering = [
    setInterval(() => void discoverEach(OPTIONAL_KINDS), DISCOVERY_MS).unref(),
    setInterval(() => void discoverEach([...missing]), MISSING_MS).unref(),
  ]
  const first = discoverEach(OPTIONAL_KINDS)

  async function stopOptional(kind: OptionalKind): Promise<void> {
    const entry = optional.get(kind)
    optional.delete(kind)
    for (const reflector of entry?.reflectors ?? []) {
      for (const object of reflector.list()) file({ type: 'deleted', object })
    }
    await Promise.all((entry?.reflectors ?? []).map((reflector) => reflector.stop()))
  }

  return {
    servers,
    children,
    server(key) {
      const found = firstOf(servers, key)
      if (!found) refuseUnread(readerOf(servers, key.namespace))
      return found
    },

    childrenOf(key) {
      for (const reflectors of children.values()) refuseUnread(readerOf(reflectors, key.namespace))
      return new Map(byServer.get(keyText(key)))
    },

    async optional(kind, namespace) {
      // A watch that goes on tells that its kind is served, so that a thousand settled servers ask nothing.
      const watched = optional.get(kind)
      const isServed = watched && !readerOf(watched.reflectors, namespace)?.unreadable()
      const resource = isServed ? watched.resource : await discover(kind)
      if (!resource) missing.add(kind)
      const reader = readerOf(optional.get(kind)?.reflectors ?? [], namespace)
      if (resource && reader) await untilSynced(reader, resource)
      if (resource) refuseUnread(reader)
      return resource
    },

    known: (kind) => optional.get(kind)?.resource,

    gateways,

    rolling: () =>
      (children.get(Deployment.kind) ?? [])
        .flatMap((reflector) => reflector.list())
        .filter((deployment) => isReplacingPods(rolloutOf(deployment)))
        .flatMap((deployment) =>
          ownersByLabel(deployment).filter((key) => {
            const server = firstOf(servers, key)
            return server && isControlledBy(deployment, server) && server.metadata.annotations?.[PAUSED] !== 'true'
          }),
        ),

    sources() {
      const own = servers.map((reflector) =>
        sourceOf(reflector, (change) => (moreThanStatus(change) ? itself(change) : []), ownPriority),
      )
      const dependent = [...children.values()].flat().map((reflector) => sourceOf(reflector, serversOf))
      const late: Source = { synced: Promise.resolve(), connect: (add) => void listeners.push(add) }
      return [...own, ...dependent, late, gateways.source]
    },

    sinceLastContactMs: () =>
      Math.max(...[...servers, ...[...children.values()].flat()].map((reflector) => reflector.sinceLastContactMs())),

    async [Symbol.asyncDispose]() {
      stopped = true
      for (const timer of discovering) clearInterval(timer)
      await first
      await gateways[Symbol.asyncDispose]()
      const all = [...servers, ...[...children.values()].flat(), ...[...optional.values()].flatMap((e) => e.reflectors)]
      await Promise.all(all.map((reflector) => reflector.stop()))
    },
  }
}

/** "namespace/name" of the server that an object's label names. */
function ownerText({ metadata }: KubeObject): string | undefined {
  const name = metadata.labels?.[SERVER_LABEL]
  return name === undefined ? undefined : keyText({ namespace: metadata.namespace ?? '', name })
}

/** Whose object it is, by label. Endpoints change with every Pod, and concern accounts only but for those of a Pooler. */
function serversOf({ object, previous }: Change): ObjectKey[] {
  if (object.kind === 'EndpointSlice' && !object.metadata.labels?.[POOLER_LABEL]) return []
  if (previous && previous !== object && previous.metadata.resourceVersion === object.metadata.resourceVersion)
    return []
  return ownersByLabel(object)
}

function ownersByLabel({ metadata: { labels, namespace } }: KubeObject): ObjectKey[] {
  const name = labels?.[SERVER_LABEL]
  return name && namespace ? [{ namespace, name }] : []
}

/** A label alone anybody may set. */
function isControlledBy({ metadata }: KubeObject, { metadata: { uid } }: MailServer): boolean {
  return metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid) ?? false
}

function firstOf<T extends KubeObject>(reflectors: readonly Reflector<T>[], key: ObjectKey): T | undefined {
  for (const reflector of reflectors) {
    const found = reflector.get(key)
    if (found) return found
  }
  return undefined
}

/** Most of an object's size, and nothing here reads it. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata } as T
}

/** Between looks at which kinds of others are served, beside those that a spec asks for. */
const DISCOVERY_MS = 600_000
/** … and between looks at whether those that a spec asks for have come. */
const MISSING_MS = 60_000
