/** The CloudNativePG Cluster. Deleting one deletes its volumes, so it is owned only under deletionPolicy Delete. */

import { SERVER_LABEL } from '../../api/group.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, objectOf, ownsData } from './context.ts'
import { databaseName } from './names.ts'

/** None for an external database, and while CloudNativePG is not installed. */
export function databaseCluster(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  const { cnpg } = spec.database
  if (!cnpg || !facts.served.databases) return undefined
  const postgresql = {
    ...(cnpg.parameters ? { parameters: cnpg.parameters } : {}),
    ...(cnpg.synchronousReplicas > 0 ? { synchronous: { method: 'any', number: cnpg.synchronousReplicas } } : {}),
  }
  const { antiAffinity } = cnpg
  return objectOf(
    context,
    'postgresql.cnpg.io/v1',
    'Cluster',
    databaseName(server.name),
    {
      spec: {
        instances: cnpg.instances,
        ...(cnpg.imageName ? { imageName: cnpg.imageName } : {}),
        // Its Secrets carry our label, so that a rotated password reaches us by watch.
        inheritedMetadata: { labels: { [SERVER_LABEL]: server.name } },
        bootstrap: { initdb: { database: 'app', owner: 'app', encoding: 'UTF8', dataChecksums: true } },
        storage: volume(cnpg.storage),
        ...(cnpg.walStorage ? { walStorage: volume(cnpg.walStorage) } : {}),
        ...(Object.keys(postgresql).length > 0 ? { postgresql } : {}),
        ...(cnpg.resources ? { resources: cnpg.resources } : {}),
        ...(antiAffinity
          ? {
              affinity: {
                enablePodAntiAffinity: true,
                podAntiAffinityType: antiAffinity.type,
                topologyKey: antiAffinity.topologyKey,
              },
            }
          : {}),
      },
    },
    { component: 'mail-database', owned: ownsData(spec) },
  )
}

const volume = ({ size, storageClass }: { size: string | number; storageClass?: string | undefined }) => ({
  size: String(size),
  ...(storageClass ? { storageClass } : {}),
})
