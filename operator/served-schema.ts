/**
 * Whether the API serves our kinds with the fields that this operator knows. Where the CRDs are older, the API drops
 * newer fields of a spec silently, and of a status too: nothing breaks, and nobody would see why a field does nothing.
 */

import { customResourceDefinitions } from './api/crds.ts'
import { API_VERSION, GROUP } from './api/group.ts'
import type { KubeClient, KubeObject } from './kube/types.ts'

interface Schema {
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema | boolean
}
interface Definition
  extends KubeObject<{ names: { kind: string }; versions: { schema: { openAPIV3Schema: Schema } }[] }> {}
interface Published extends Schema {
  'x-kubernetes-group-version-kind'?: { group: string; kind: string }[]
}

/**
 * @returns by kind, the fields of ours that are not served ("spec.dns.tlsa"), only the outermost of each; every field
 * of a kind that is not served at all
 * @throws KubeError
 */
export async function missingFields(client: Pick<KubeClient, 'raw'>): Promise<Map<string, string[]>> {
  // Every authenticated client may read this, which is more than can be said of the CRDs themselves.
  const document = (await client.raw('GET', `/openapi/v3/apis/${API_VERSION}`)) as {
    components?: { schemas?: Record<string, Published> }
  }
  const published = Object.values(document.components?.schemas ?? {})
  return new Map(
    (customResourceDefinitions() as Definition[]).map(({ spec }) => {
      const kind = spec?.names.kind ?? ''
      const served = published.find((schema) =>
        schema['x-kubernetes-group-version-kind']?.some((named) => named.group === GROUP && named.kind === kind),
      )
      const { metadata: _, ...properties } = spec?.versions[0]?.schema.openAPIV3Schema.properties ?? {}
      return [kind, absent({ properties }, served ?? {}, '')]
    }),
  )
}

function absent(ours: Schema, served: Schema, path: string): string[] {
  const fields = Object.entries(ours.properties ?? {}).flatMap(([name, schema]) => {
    const twin = served.properties?.[name]
    const at = path ? `${path}.${name}` : name
    return twin ? absent(schema, twin, at) : [at]
  })
  const items = ours.items ? absent(ours.items, served.items ?? {}, `${path}[]`) : []
  return [...fields, ...items]
}
