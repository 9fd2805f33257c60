/** Where a MailServer's engine answers HTTP: a ready address of the EndpointSlices of Service `<name>-http`. */

import { EndpointSlice } from '../kube/resources.ts'
import { type KubeClient, type KubeObject, keyText, type ObjectKey } from '../kube/types.ts'
import type { Caches } from '../mailserver/caches.ts'
import { httpServiceName } from '../mailserver/desired/names.ts'

interface Slice extends KubeObject {
  endpoints?: { addresses?: string[]; conditions?: { ready?: boolean | null } }[] | null
  ports?: { name?: string; port?: number }[] | null
}

/** "http://host:port" of every ready endpoint, in a stable order. Pod IPs in a cluster, loopback locally. */
export function readyOrigins(slices: readonly KubeObject[], service: string): string[] {
  const origins = slices
    .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === service)
    .flatMap((object) => {
      const slice = object as Slice
      const port = slice.ports?.find(({ name }) => name === 'http')?.port
      if (port === undefined) return []
      return (slice.endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready !== false)
        .flatMap(({ addresses }) => addresses ?? [])
        .map((address) => `http://${address.includes(':') ? `[${address}]` : address}:${port}`)
    })
  return [...new Set(origins)].sort()
}

/** A list for one server stands for all its accounts that ask within this time. */
const LIST_MS = 5_000

/**
 * The slices of a server's HTTP Service: from the cache, which holds those with the server's label (Kubernetes' own
 * controller copies a Service's labels to its slices); by a list where whoever makes slices does not copy labels.
 * @throws KubeError
 */
export function createSliceFinder(
  client: Pick<KubeClient, 'list'>,
  caches: Pick<Caches, 'childrenOf'>,
  now: () => number = () => performance.now(),
): (server: ObjectKey) => Promise<readonly KubeObject[]> {
  const lists = new Map<string, { until: number; slices: Promise<KubeObject[]> }>()
  return async (server) => {
    const service = { namespace: server.namespace, name: httpServiceName(server.name) }
    const cached = [...caches.childrenOf(server).values()].filter(
      ({ kind, metadata }) =>
        kind === EndpointSlice.kind && metadata.labels?.['kubernetes.io/service-name'] === service.name,
    )
    if (cached.length > 0) return cached
    const id = keyText(service)
    for (const [key, { until }] of lists) if (until < now()) lists.delete(key)
    const known = lists.get(id)
    if (known) return known.slices
    const labelSelector = `kubernetes.io/service-name=${service.name}`
    const slices = client
      .list(EndpointSlice, { namespace: service.namespace, labelSelector })
      .then(({ items }) => items)
    lists.set(id, { until: now() + LIST_MS, slices })
    slices.catch(() => lists.delete(id))
    return slices
  }
}
