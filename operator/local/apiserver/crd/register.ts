/** From a CustomResourceDefinition object to the definitions that the registry serves, and back out of it. */

import { versionsOf } from '../builtin/custom-resource-definition.ts'
import { at, isObject, type Json, type JsonObject, type KubeObject, kubeTime } from '../json.ts'
import type { Objects } from '../objects.ts'
import { ALL_VERBS, type Registry, type ScalePaths } from '../registry.ts'
import { objectMeta, type Schema, string } from '../schema.ts'
import { customColumns, printerColumn } from '../table.ts'

export const CRD_BUCKET = 'apiextensions.k8s.io/customresourcedefinitions'

/** Serves the CRD's versions from now on, newest priority first, in place of what it said before. */
export function registerCustomResource(registry: Registry, crd: KubeObject): void {
  const names = at(crd, 'spec', 'names')
  const group = String(at(crd, 'spec', 'group'))
  const plural = String(at(names, 'plural'))
  registry.remove(group, plural)
  const versions = versionsOf(crd).filter((version) => version.served)
  versions.sort((a, b) => versionPriority(String(b.name)) - versionPriority(String(a.name)))
  for (const version of versions) {
    const columns = version.additionalPrinterColumns
    const scale = at(version, 'subresources', 'scale')
    const kind = String(at(names, 'kind'))
    registry.add({
      group,
      version: String(version.name),
      plural,
      singular: String(at(names, 'singular') ?? kind.toLowerCase()),
      kind,
      listKind: String(at(names, 'listKind') ?? `${kind}List`),
      namespaced: at(crd, 'spec', 'scope') === 'Namespaced',
      shortNames: strings(at(names, 'shortNames')),
      categories: strings(at(names, 'categories')),
      verbs: ALL_VERBS,
      schema: rootSchema(at(version, 'schema', 'openAPIV3Schema')),
      bucket: `${group}/${plural}`,
      status: at(version, 'subresources', 'status') !== undefined,
      ...(isObject(scale) && { scale: scale as ScalePaths }),
      generation: true,
      createOnUpdate: false,
      columns: customColumns(
        (Array.isArray(columns) ? columns : []).map((column) =>
          printerColumn(column as Parameters<typeof printerColumn>[0]),
        ),
      ),
      selectableFields: (Array.isArray(version.selectableFields) ? version.selectableFields : []).map((field) =>
        String(at(field, 'jsonPath')).slice(1),
      ),
      nameRule: 'subdomain',
      hooks: {},
      custom: true,
    })
  }
}

/** v1 before v1beta2 before v1beta1 before v1alpha1 (k8s.io/apimachinery version.CompareKubeAwareVersionStrings). */
export function versionPriority(version: string): number {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
  if (!match) return 0
  const stability = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1
  return stability * 1e6 + Number(match[1]) * 1e3 + Number(match[3] ?? 0)
}

function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function rootSchema(schema: Json | undefined): Schema {
  const root = (isObject(schema) ? schema : {}) as Schema
  return { ...root, properties: { ...root.properties, apiVersion: string, kind: string, metadata: objectMeta } }
}

/** Writes the conditions that say a CRD is served. */
export function acceptCustomResource(objects: Objects, key: string, now: Date): void {
  objects.amend(CRD_BUCKET, key, (crd) => {
    const accepted = at(crd, 'spec', 'names') as JsonObject
    const status = isObject(crd.status) ? crd.status : {}
    const before = Array.isArray(status.conditions) ? status.conditions : []
    if (before.length === 0) {
      const lastTransitionTime = kubeTime(now)
      status.conditions = [
        {
          lastTransitionTime,
          message: 'no conflicts found',
          reason: 'NoConflicts',
          status: 'True',
          type: 'NamesAccepted',
        },
        {
          lastTransitionTime,
          message: 'the initial names have been accepted',
          reason: 'InitialNamesAccepted',
          status: 'True',
          type: 'Established',
        },
      ]
    }
    const stored = versionsOf(crd)
      .filter((version) => version.storage)
      .map((version) => String(version.name))
    status.storedVersions = [...new Set([...strings(status.storedVersions), ...stored])]
    status.acceptedNames = accepted
    crd.status = status
  })
}
