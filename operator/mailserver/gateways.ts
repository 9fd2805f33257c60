/**
 * The Gateways that specs name. They belong to others, carry no label of ours and often are in another namespace, so they
 * are watched apart: from when a MailServer first names one until none does any more, in all namespaces where the
 * operator may read all, else in the Gateway's alone.
 */

import { isDeepStrictEqual } from 'node:util'
import type { KubeApi } from '../kube/client.ts'
import type { Source } from '../kube/controller.ts'
import { type KubeLogger, silentLogger } from '../kube/logger.ts'
import type { KubeMetrics } from '../kube/metrics.ts'
import { startReflector } from '../kube/reflector.ts'
import {
  type Change,
  type Condition,
  type KubeObject,
  keyText,
  type ObjectKey,
  type Reflector,
  type Resource,
} from '../kube/types.ts'
import { untilSynced } from '../kube/until-synced.ts'

/** What is kept of a Gateway (gateway.networking.k8s.io): what a MailServer may depend on. */
export interface Gateway extends KubeObject {
  spec: { listeners: { name: string }[] }
  status: {
    addresses: { type?: string; value: string }[]
    conditions: Condition[]
    listeners: { name: string; conditions: Condition[] }[]
  }
}

/** A Gateway that a spec names, as it is seen now. */
export interface GatewayView {
  key: ObjectKey
  /** Undefined where there is none; while it is unseen, as it was last. */
  gateway: Gateway | undefined
  /** Why it cannot be seen. */
  unseen?: { reason: 'CRDMissing' | 'GatewayForbidden'; message: string }
}

export interface Gateways extends AsyncDisposable {
  /**
   * The Gateway that a MailServer names; from now on its changes are told of that server.
   * @throws KubeError when the API does not answer
   */
  look(server: ObjectKey, gateway: ObjectKey): Promise<GatewayView>
  /** The server names none any more. */
  forget(server: ObjectKey): void
  /** The servers whose Gateway has changed. */
  source: Source
}

export interface GatewaysDeps {
  client: KubeApi
  logger?: KubeLogger
  metrics?: KubeMetrics
}

/** @param options.namespaces those that are watched; empty: all */
export function startGateways(options: { namespaces: readonly string[] }, deps: GatewaysDeps): Gateways {
  const { client, logger = silentLogger } = deps
  const reflectorDeps = { logger, ...(deps.metrics ? { metrics: deps.metrics } : {}) }
  const everywhere = options.namespaces.length === 0
  /** By namespace; '' is all of them. */
  const watches = new Map<string, { resource: Resource; reflector: Reflector<Gateway> }>()
  const named = new Map<string, { server: ObjectKey; gateway: ObjectKey }>()
  const listeners: Parameters<Source['connect']>[0][] = []
  const stopping = new Set<Promise<void>>()

  const scopeOf = ({ namespace }: ObjectKey) => (everywhere ? '' : namespace)

  function tell(change: Change): void {
    const { object, previous } = change as Change<Gateway>
    // A Gateway counts its routes in its status: those of others must not wake everybody who uses it.
    const same = previous && isDeepStrictEqual([object.spec, object.status], [previous.spec, previous.status])
    if (change.type === 'set' && same) return
    const { namespace = '', name } = object.metadata
    for (const { server, gateway } of named.values()) {
      if (gateway.namespace !== namespace || gateway.name !== name) continue
      for (const listener of listeners) listener(server, 'high')
    }
  }

  function stop(scope: string): void {
    const watch = watches.get(scope)
    watches.delete(scope)
    const stopped = watch?.reflector.stop()
    if (!stopped) return
    stopping.add(stopped)
    void stopped.then(() => stopping.delete(stopped))
  }

  function watchOf(resource: Resource, scope: string): Reflector<Gateway> {
    const known = watches.get(scope)
    if (known?.resource.version === resource.version) return known.reflector
    if (known) stop(scope)
    const reflector = startReflector<Gateway>(
      client,
      resource,
      { ...(scope === '' ? {} : { namespace: scope }), transform: essence },
      reflectorDeps,
    )
    watches.set(scope, { resource, reflector })
    reflector.onChange(tell)
    return reflector
  }

  function stopUnused(): void {
    const used = new Set([...named.values()].map(({ gateway }) => scopeOf(gateway)))
    for (const scope of watches.keys()) if (!used.has(scope)) stop(scope)
  }

  return {
    async look(server, key) {
      const before = named.get(keyText(server))
      named.set(keyText(server), { server, gateway: key })
      if (before && scopeOf(before.gateway) !== scopeOf(key)) stopUnused()
      const resource = await client.discover(GROUP, 'Gateway')
      if (!resource) return { key, gateway: undefined, unseen: { reason: 'CRDMissing', message: NOT_SERVED } }
      const reflector = watchOf(resource, scopeOf(key))
      await untilSynced(reflector, resource)
      const gateway = reflector.get(key)
      const refused = reflector.unreadable()
      if (!refused) return { key, gateway }
      if (refused.kind === 'NotFound') return { key, gateway, unseen: { reason: 'CRDMissing', message: NOT_SERVED } }
      const message = `Gateway ${keyText(key)} cannot be seen, the operator may not list and watch gateways there: ${refused.message}`
      return { key, gateway, unseen: { reason: 'GatewayForbidden', message } }
    },
    forget(server) {
      if (named.delete(keyText(server))) stopUnused()
    },
    source: { synced: Promise.resolve(), connect: (add) => void listeners.push(add) },
    async [Symbol.asyncDispose]() {
      for (const scope of [...watches.keys()]) stop(scope)
      await Promise.all(stopping)
    },
  }
}

const GROUP = 'gateway.networking.k8s.io'
const NOT_SERVED = `the Gateway API is not installed: the API serves no gateways.${GROUP}`

/** Without what nobody here reads, above all the count of attached routes. */
function essence({ apiVersion, kind, metadata, spec, status }: KubeObject): Gateway {
  const { name, namespace, uid, resourceVersion } = metadata
  const { listeners = [] } = (spec ?? {}) as Partial<Gateway['spec']>
  const { addresses = [], conditions = [], listeners: told = [] } = (status ?? {}) as Partial<Gateway['status']>
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    spec: { listeners: listeners.map((listener) => ({ name: listener.name })) },
    status: {
      addresses: addresses.map(({ type, value }) => (type === undefined ? { value } : { type, value })),
      conditions,
      listeners: told.map((listener) => ({ name: listener.name, conditions: listener.conditions })),
    },
  }
}
