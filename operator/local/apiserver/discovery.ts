/** Discovery: which groups, versions and resources there are, in the old form and the aggregated one. */
import type { Json, JsonObject } from './json.ts'
import { apiVersionOf, type Registry, type ResourceDefinition } from './registry.ts'

const SUBRESOURCE_VERBS = ['get', 'patch', 'update']

export const VERSION: JsonObject = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.0+local',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
}

export function apiVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  }
}

/** Groups with their versions, the preferred one first. */
function groupVersions(registry: Registry): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const { group, version } of registry.all()) {
    const versions = groups.get(group) ?? []
    if (!versions.includes(version)) groups.set(group, [...versions, version])
  }
  return groups
}

function apiGroup(group: string, versions: string[]): JsonObject {
  const entries = versions.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }))
  return { name: group, versions: entries, preferredVersion: entries[0] ?? null }
}

export function groupList(registry: Registry): JsonObject {
  const groups = [...groupVersions(registry)]
    .filter(([group]) => group)
    .map(([group, versions]) => apiGroup(group, versions))
  return { kind: 'APIGroupList', apiVersion: 'v1', groups }
}

export function group(registry: Registry, name: string): JsonObject | undefined {
  const versions = groupVersions(registry).get(name)
  return versions && { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(name, versions) }
}

export function resourceList(registry: Registry, group: string, version: string): JsonObject | undefined {
  const definitions = registry
    .all()
    .filter((definition) => definition.group === group && definition.version === version)
  if (definitions.length === 0) return undefined
  const groupVersion = apiVersionOf({ group, version })
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: definitions.flatMap(apiResources) }
}

function apiResources(definition: ResourceDefinition): Json[] {
  const { plural, singular, namespaced, kind, verbs, shortNames, categories } = definition
  const main: JsonObject = { name: plural, singularName: singular, namespaced, kind, verbs }
  if (shortNames.length > 0) main.shortNames = shortNames
  if (categories.length > 0) main.categories = categories
  const resources: Json[] = [main]
  if (definition.status)
    resources.push({ name: `${plural}/status`, singularName: '', namespaced, kind, verbs: SUBRESOURCE_VERBS })
  if (definition.scale) {
    resources.push({
      name: `${plural}/scale`,
      singularName: '',
      namespaced,
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: SUBRESOURCE_VERBS,
    })
  }
  return resources
}

/** apidiscovery.k8s.io/v2, for /api (the core group) or /apis (all others). */
export function aggregated(registry: Registry, core: boolean): JsonObject {
  const items = [...groupVersions(registry)]
    .filter(([group]) => (group === '') === core)
    .map(([group, versions]) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: registry
          .all()
          .filter((definition) => definition.group === group && definition.version === version)
          .map(aggregatedResource),
      })),
    }))
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items }
}

function aggregatedResource(definition: ResourceDefinition): JsonObject {
  const { group, version, plural, singular, namespaced, kind, verbs, shortNames, categories } = definition
  const responseKind = { group, version, kind }
  const subresources: JsonObject[] = []
  if (definition.scale)
    subresources.push({
      subresource: 'scale',
      responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      verbs: SUBRESOURCE_VERBS,
    })
  if (definition.status) subresources.push({ subresource: 'status', responseKind, verbs: SUBRESOURCE_VERBS })
  return {
    resource: plural,
    responseKind,
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    ...(subresources.length > 0 && { subresources }),
  }
}
