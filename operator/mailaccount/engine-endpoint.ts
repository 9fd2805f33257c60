/** Where a MailServer's engine answers HTTP: a ready address of the EndpointSlices of Service `<name>-http`. */

import type { KubeObject } from '../kube/types.ts'

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
