/** What is served: one definition per group, version and resource. Built-in kinds at start, CRDs as they come and go. */
import type { Json, JsonObject, KubeObject } from './json.ts'
import type { Schema } from './schema.ts'
import type { Cause } from './status-errors.ts'

export type Column = {
  name: string
  type: string
  format?: string
  description?: string
  priority?: number
  /** The cell of one object; undefined is an empty cell. */
  value: (object: KubeObject, now: Date) => Json | undefined
}

export type ScalePaths = { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string }

/** What a kind does to its objects beyond its schema. Hooks change the object they get. */
export type Hooks = {
  /** Defaults that depend on other fields; runs on every decode, before ownership of fields is recorded. */
  setDefaults?: (object: KubeObject) => void
  /** What the server decides at creation, such as an address; nobody owns these fields. */
  prepareCreate?: (object: KubeObject) => void
  prepareUpdate?: (object: KubeObject, old: KubeObject) => void
  validate?: (object: KubeObject, old: KubeObject | undefined) => Cause[]
  /** Between this version's form and the stored one (events). */
  toStored?: (object: KubeObject) => KubeObject
  fromStored?: (object: KubeObject) => KubeObject
}

export type ResourceDefinition = {
  group: string
  version: string
  plural: string
  singular: string
  kind: string
  listKind: string
  namespaced: boolean
  shortNames: string[]
  categories: string[]
  verbs: string[]
  schema: Schema
  /** Where its objects are stored; all versions of a resource share one. */
  bucket: string
  status: boolean
  scale?: ScalePaths
  /** An update of a missing object creates it. */
  createOnUpdate: boolean
  /** A deletion that names no propagation policy leaves the dependents alone (Jobs, for what came before garbage collection). */
  orphans?: boolean
  /** metadata.generation counts changes of the desired state. */
  generation: boolean
  columns: Column[]
  selectableFields: string[]
  nameRule: NameRule
  hooks: Hooks
  /** A CRD's: pruned, defaulted and validated by its schema. A built-in kind is decoded as the Go struct would be. */
  custom: boolean
  /** Answers a create that stores nothing (reviews). */
  review?: (object: KubeObject) => KubeObject
}

export type NameRule = 'subdomain' | 'label' | 'path'

export const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group ? `${group}/${version}` : version
}

export class Registry {
  #definitions = new Map<string, ResourceDefinition>()
  #changes = 0

  add(definition: ResourceDefinition): void {
    this.#definitions.set(`${apiVersionOf(definition)}/${definition.plural}`, definition)
    this.#changes += 1
  }

  remove(group: string, plural: string): void {
    for (const [key, definition] of this.#definitions) {
      if (definition.group === group && definition.plural === plural) this.#definitions.delete(key)
    }
    this.#changes += 1
  }

  find(group: string, version: string, plural: string): ResourceDefinition | undefined {
    return this.#definitions.get(`${apiVersionOf({ group, version })}/${plural}`)
  }

  all(): ResourceDefinition[] {
    return [...this.#definitions.values()]
  }

  /** One definition per bucket: the preferred version's. */
  buckets(): Map<string, ResourceDefinition> {
    const result = new Map<string, ResourceDefinition>()
    for (const definition of this.#definitions.values()) {
      if (!result.has(definition.bucket)) result.set(definition.bucket, definition)
    }
    return result
  }

  /** Rises with every change; caches of discovery and OpenAPI hang on it. */
  get changes(): number {
    return this.#changes
  }
}

/** The object as this version serves it. */
export function served(definition: ResourceDefinition, stored: KubeObject): KubeObject {
  const object = definition.hooks.fromStored ? definition.hooks.fromStored(stored) : stored
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object
  return { apiVersion: apiVersionOf(definition), kind: definition.kind, metadata, ...rest }
}

export function storageKey(namespace: string, name: string): string {
  return namespace ? `${namespace}/${name}` : name
}

export function asObject(value: JsonObject): KubeObject {
  return value as KubeObject
}
