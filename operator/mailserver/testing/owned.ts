/** For tests: the objects that the operator made for a MailServer, and what it asks for in them. */

import assert from 'node:assert/strict'
import { APPLIED_HASH, SERVER_LABEL } from '../../api/group.ts'
import type { KubeObject, Resource } from '../../kube/types.ts'
import { BUILT_IN, newestVersions, READ_ONLY } from '../kinds.ts'
import type { TestCluster } from './cluster.ts'

/** All kinds but those that are not there to stay. Needs the CRDs of others. */
export const OWNED_KINDS: readonly Resource[] = [...BUILT_IN, ...Object.values(newestVersions())].filter(
  ({ kind }) => kind !== 'Job' && !READ_ONLY.some((resource) => resource.kind === kind),
)

export const resourceOf = ({ kind }: KubeObject): Resource =>
  OWNED_KINDS.find((resource) => resource.kind === kind) ?? assert.fail(kind)

/** Everything that was applied for the server. */
export async function ownedObjects(
  { client, namespace }: Pick<TestCluster, 'client' | 'namespace'>,
  server: string,
): Promise<KubeObject[]> {
  const labelSelector = `${SERVER_LABEL}=${server}`
  const lists = await Promise.all(OWNED_KINDS.map((resource) => client.list(resource, { namespace, labelSelector })))
  return lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.annotations?.[APPLIED_HASH])
}

/** What the operator asks for in an object, and nothing that the API or others make of it. */
export function essence({ metadata, spec, data, automountServiceAccountToken }: KubeObject) {
  const { labels, annotations = {}, ownerReferences } = metadata
  const { clusterIP: _, clusterIPs: __, healthCheckNodePort: ___, ...rest } = (spec ?? {}) as Record<string, unknown>
  const asked = JSON.parse(JSON.stringify(rest, (field, value) => (field === 'nodePort' ? undefined : value)))
  return { labels, hash: annotations[APPLIED_HASH], ownerReferences, spec: asked, data, automountServiceAccountToken }
}
