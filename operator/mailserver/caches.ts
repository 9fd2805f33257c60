/**
 * The caches a reconcile reads: MailServers, their objects by label in the watched namespaces, and the kinds of others
 * as soon as the API serves them. Foreign Secrets are never in them.
 */

import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { KubeApi } from '../kube/client.ts'
import { type Change, itself, moreThanStatus, type Source, sourceOf } from '../kube/controller.ts'
import { KubeError } from '../kube/errors.ts'
import { type KubeLogger, silentLogger } from '../kube/logger.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import { startReflector } from '../kube/reflector.ts'
import { type KubeObject, keyText, type ObjectKey, type Reflector, type Resource } from '../kube/types.ts'
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
  server(key: ObjectKey): MailServer | undefined
  /** Objects with the server's label, ours or not, by id ("Secret/stalwart-admin"). */
  childrenOf(key: ObjectKey): Map<string, KubeObject>
  /**
   * The kind of somebody else as it is served now; undefined when it is not. Starts its watch the first time, and waits
   * for its objects.
   * @throws KubeError when they do not come, e.g. for want of a right
   */
  optional(kind: OptionalKind): Promise<Resource | undefined>
  /** The same as far as it is known, without asking. */
  known(kind: OptionalKind): Resource | undefined
  /** Where the controller's keys come from. */
  sources(): Source[]
  /** Longest silence of any watch, for health. */
  sinceLastContactMs(): number
}

export function startCaches(options: CachesOptions, deps: CachesDeps): Caches {
  const { client, logger = silentLogger } = deps
  const namespaces: readonly (string | undefined)[] = options.namespaces.length > 0 ? options.namespaces : [undefined]
  const reflectorDeps = { ...(deps.logger ? { logger } : {}), ...(deps.metrics ? { metrics: deps.metrics } : {}) }
  const optional = new Map<OptionalKind, { resource: Resource; reflectors: Reflector[] }>()
  const listeners: ((key: ObjectKey) => void)[] = []

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

  function startOptional(kind: OptionalKind, resource: Resource) {
    logger.info({ group: resource.group, kind, version: resource.version }, 'kind is served, watching it')
    const entry = { resource, reflectors: startAll(resource, { labelSelector: SERVER_LABEL }) }
    optional.set(kind, entry)
    for (const reflector of entry.reflectors) {
      reflector.onChange(file)
      sourceOf(reflector, serversOf).connect((key) => {
        for (const listener of listeners) listener(key)
      })
    }
    return entry
  }

  async function discover(kind: OptionalKind): Promise<Resource | undefined> {
    const resource = await client.discover(OPTIONAL[kind].group, OPTIONAL[kind].kind)
    const known = optional.get(kind)
    if (known && known.resource.version !== resource?.version) await stopOptional(kind)
    if (resource && !optional.has(kind)) startOptional(kind, resource)
    return resource
  }

  /** For what nobody asks for any more and that is still there. */
  async function discoverAll(): Promise<void> {
    for (const kind of OPTIONAL_KINDS) {
      if (stopped) return
      await discover(kind).catch((error: unknown) => logger.debug({ err: error, kind }, 'discovery failed'))
    }
  }
  let stopped = false
  const discovering = setInterval(() => void discoverAll(), DISCOVERY_MS).unref()
  const first = discoverAll()

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
    server: (key) => firstOf(servers, key),

    childrenOf: (key) => new Map(byServer.get(keyText(key))),

    async optional(kind) {
      const resource = await discover(kind)
      const reflectors = optional.get(kind)?.reflectors ?? []
      if (resource) await inTime(Promise.all(reflectors.map((reflector) => reflector.synced)), resource)
      return resource
    },

    known: (kind) => optional.get(kind)?.resource,

    sources() {
      const own = servers.map((reflector) =>
        sourceOf(reflector, (change) => (moreThanStatus(change) ? itself(change) : [])),
      )
      const dependent = [...children.values()].flat().map((reflector) => sourceOf(reflector, serversOf))
      const late: Source = { synced: Promise.resolve(), connect: (add) => void listeners.push(add) }
      return [...own, ...dependent, late]
    },

    sinceLastContactMs: () =>
      Math.max(...[...servers, ...[...children.values()].flat()].map((reflector) => reflector.sinceLastContactMs())),

    async [Symbol.asyncDispose]() {
      stopped = true
      clearInterval(discovering)
      await first
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

/** Whose object it is, by label. Endpoints change with every Pod and concern accounts only. */
function serversOf({ object, previous }: Change): ObjectKey[] {
  const name = object.metadata.labels?.[SERVER_LABEL]
  const namespace = object.metadata.namespace
  if (!name || !namespace || object.kind === 'EndpointSlice') return []
  if (previous && previous !== object && previous.metadata.resourceVersion === object.metadata.resourceVersion)
    return []
  return [{ namespace, name }]
}

function firstOf<T extends KubeObject>(reflectors: readonly Reflector<T>[], key: ObjectKey): T | undefined {
  for (const reflector of reflectors) {
    const found = reflector.get(key)
    if (found) return found
  }
  return undefined
}

/** Most of an object's size, and nothing here reads it. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata } as T
}

const SYNC_MS = 10_000
/** Between looks at which kinds of others are served, beside those that a spec asks for. */
const DISCOVERY_MS = 600_000

async function inTime(synced: Promise<unknown>, { plural, group }: Resource): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const text = `${plural}.${group}: the list does not come; may the operator watch them?`
    timer = setTimeout(() => reject(new KubeError(text, { kind: 'Timeout', code: 0 })), SYNC_MS)
  })
  try {
    await Promise.race([synced, late])
  } finally {
    clearTimeout(timer)
  }
}
