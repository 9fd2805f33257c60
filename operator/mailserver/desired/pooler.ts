/**
 * PgBouncer between the engine and the primary (CloudNativePG's Pooler). In session mode, and no other: the engine listens
 * for notifications, holds advisory locks and sets up its sessions, all of which needs one server connection per client.
 */

import { SERVER_LABEL } from '../../api/group.ts'
import type { KubeObject, ObjectKey } from '../../kube/types.ts'
import { type DesiredContext, optionalObject } from './context.ts'
import { databaseName, poolerName } from './names.ts'

/** Postgres' own. */
const MAX_CONNECTIONS = '100'

/** What CloudNativePG calls a Pooler's Pods, Service and EndpointSlices by. */
export const POOLER_LABEL = 'cnpg.io/poolerName'

/** Names of its Service; the engine uses the second, as CloudNativePG does in its own URLs. */
export function poolerHosts({ namespace, name }: ObjectKey): string[] {
  const service = poolerName(name)
  return [service, `${service}.${namespace}`, `${service}.${namespace}.svc`]
}

/** Owned under every policy: it holds nothing. */
export function databasePooler(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  const { cnpg } = spec.database
  if (!cnpg?.pooler) return undefined
  const name = poolerName(server.name)
  const { nodeSelector, tolerations, priorityClassName } = cnpg
  const { instances, parameters, resources } = cnpg.pooler
  return optionalObject(
    context,
    'Pooler',
    name,
    {
      spec: {
        cluster: { name: databaseName(server.name) },
        instances,
        type: 'rw',
        pgbouncer: {
          poolMode: 'session',
          parameters: {
            // Every client has a server connection of its own: PgBouncer must not be narrower than Postgres, or engines wait.
            max_client_conn: '1000',
            default_pool_size: cnpg.parameters?.max_connections ?? MAX_CONNECTIONS,
            // After a failover; PgBouncer's 15 seconds would be added to every one.
            server_login_retry: '2',
            ...parameters,
          },
        },
        // Kubernetes copies a Service's labels to its EndpointSlices: by this one we see who is ready.
        serviceTemplate: { metadata: { labels: { [SERVER_LABEL]: server.name } } },
        template: {
          spec: {
            containers: resources ? [{ name: 'pgbouncer', resources }] : [],
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: 'kubernetes.io/hostname',
                whenUnsatisfiable: 'ScheduleAnyway',
                labelSelector: { matchLabels: { [POOLER_LABEL]: name } },
              },
            ],
            ...(nodeSelector ? { nodeSelector } : {}),
            ...(tolerations ? { tolerations } : {}),
            ...(priorityClassName ? { priorityClassName } : {}),
          },
        },
      },
    },
    { component: 'mail-database' },
  )
}
