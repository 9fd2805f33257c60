/** For tests: what others do about a Pooler. */

import { EndpointSlice } from '../../kube/resources.ts'
import { newestVersions } from '../kinds.ts'
import type { TestCluster } from './cluster.ts'

type Played = Pick<TestCluster, 'client' | 'namespace'>

/**
 * Kubernetes' part: the slice of the Pooler's Service.
 * @param ready of each PgBouncer
 */
export async function playPooler(
  { client, namespace }: Played,
  server: string,
  ready: readonly boolean[],
): Promise<void> {
  const service = `${server}-db-pooler`
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: service,
      namespace,
      labels: {
        'kubernetes.io/service-name': service,
        'cnpg.io/poolerName': service,
        'mail.openova.io/server': server,
      },
    },
    addressType: 'IPv4',
    endpoints: ready.map((one, index) => ({ addresses: [`10.0.0.${index + 1}`], conditions: { ready: one } })),
    ports: [{ name: 'pgbouncer', port: 5432, protocol: 'TCP' }],
  }
  await client.apply(EndpointSlice, slice, { fieldManager: 'operator-test' })
}

/** CloudNativePG's part: the certificate that PgBouncer shows. */
export async function namePoolerInCertificate({ client, namespace }: Played, server: string): Promise<void> {
  const certificates = { serverAltDNSNames: [`${server}-db-pooler.${namespace}`] }
  const key = { namespace, name: `${server}-db` }
  await client.mergePatch(newestVersions().Cluster, key, { status: { certificates } }, { subresource: 'status' })
}
