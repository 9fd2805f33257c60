/**
 * Who owns which field: metadata.managedFields kept through updates and server-side apply. After
 * k8s.io/apimachinery/pkg/util/managedfields and structured-merge-diff's merge.Updater.
 */
import {
  at,
  equal,
  isObject,
  type Json,
  type JsonObject,
  type KubeObject,
  kubeTime,
  type ManagedFieldsEntry,
} from '../json.ts'
import type { Schema } from '../schema.ts'
import { ApiError, applyConflict, type Cause } from '../status-errors.ts'
import { FieldSet, pathText } from './fieldset.ts'
import { compare, fieldSetOf, merge, removeItems, typedErrors } from './typed.ts'

export type Manager = {
  name: string
  subresource: string
  apiVersion: string
  now: Date
  schema: Schema
  /** Fields that this endpoint ignores (status through the main one); nobody comes to own them here. */
  ignored: FieldSet
}

type Owner = { entry: Omit<ManagedFieldsEntry, 'fieldsV1'>; set: FieldSet }

/** Never owned: identity and what the server writes. */
const SYSTEM_FIELDS = FieldSet.fromFieldsV1({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    '.': {},
    'f:name': {},
    'f:namespace': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
  },
})
const NOT_OWNED_METADATA = new FieldSet()
NOT_OWNED_METADATA.insert(['f:metadata'])

function strip(set: FieldSet, ignored: FieldSet): FieldSet {
  return set.difference(SYSTEM_FIELDS).without(ignored)
}

function identity(entry: Omit<ManagedFieldsEntry, 'fieldsV1'>): string {
  const version = entry.operation === 'Apply' ? '' : entry.apiVersion
  return JSON.stringify([entry.operation, entry.manager, version, entry.subresource ?? ''])
}

function decode(fields: ManagedFieldsEntry[] | undefined): Map<string, Owner> {
  const owners = new Map<string, Owner>()
  for (const { fieldsV1, ...entry } of fields ?? []) {
    if (!entry.manager && !entry.operation) continue
    owners.set(identity(entry), { entry, set: FieldSet.fromFieldsV1(fieldsV1) })
  }
  return owners
}

function encode(owners: Map<string, Owner>, before: Map<string, Owner>, now: Date): ManagedFieldsEntry[] {
  const entries = [...owners].flatMap(([id, { entry, set }]) => {
    if (set.empty) return []
    const old = before.get(id)
    const unchanged = old?.set.equals(set) && old.entry.apiVersion === entry.apiVersion
    const { subresource, ...rest } = entry
    const time = unchanged ? (old?.entry.time ?? kubeTime(now)) : kubeTime(now)
    return [{ ...rest, time, fieldsType: 'FieldsV1', fieldsV1: set.toFieldsV1(), ...(subresource && { subresource }) }]
  })
  const order = (entry: ManagedFieldsEntry) =>
    [entry.operation, entry.time, entry.manager, entry.apiVersion, entry.subresource ?? ''].join('\0')
  return entries.sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

function comparable(object: KubeObject | undefined): Json | undefined {
  if (!object) return undefined
  const { managedFields: _fields, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** What changed hands: fields that changed leave their other owners. */
function takeFields(owners: Map<string, Owner>, manager: string, changed: FieldSet, removed: FieldSet): void {
  for (const [id, owner] of owners) {
    if (id === manager) continue
    owners.set(id, { ...owner, set: owner.set.difference(changed).difference(removed) })
  }
}

/** managedFields after a create, update or patch: the manager owns what it changed. */
export function trackUpdate(live: KubeObject | undefined, next: KubeObject, manager: Manager): ManagedFieldsEntry[] {
  const given = next.metadata.managedFields
  // [{}] asks to forget all owners; an empty list is what a client sends that knows nothing of them.
  if (live && given?.length === 1 && given.every((entry) => Object.keys(entry).length === 0)) return []
  const asked = decode(given)
  const before = asked.size > 0 ? asked : decode(live?.metadata.managedFields)
  const owners = new Map(before)
  const difference = compare(comparable(live) ?? {}, comparable(next), manager.schema)
  const changed = difference.modified.union(difference.added).without(manager.ignored)
  const entry = entryOf(manager, 'Update')
  const id = identity(entry)
  takeFields(owners, id, changed, difference.removed.without(manager.ignored))
  const mine = owners.get(id)?.set ?? new FieldSet()
  const set = strip(mine.difference(difference.removed).union(changed), manager.ignored)
  owners.set(id, { entry, set })
  return encode(owners, before, manager.now)
}

function entryOf(manager: Manager, operation: string): Omit<ManagedFieldsEntry, 'fieldsV1'> {
  const { name, apiVersion, subresource } = manager
  return { manager: name, operation, apiVersion, fieldsType: 'FieldsV1', ...(subresource && { subresource }) }
}

/**
 * Server-side apply of a config over the live object (undefined: it will be created).
 * @returns the merged object with its new managedFields
 * @throws ApiError 409 with a cause per field that another manager owns, unless forced
 */
export function apply(live: KubeObject | undefined, config: KubeObject, manager: Manager, force: boolean): KubeObject {
  const { schema } = manager
  const before = decode(live?.metadata.managedFields)
  const owners = new Map(before)
  if (live && before.size === 0) adoptUnmanaged(owners, live, manager)
  const entry = entryOf(manager, 'Apply')
  const id = identity(entry)
  const last = owners.get(id)?.set
  const liveValue = comparable(live)
  const merged = merge(liveValue, config, schema)
  owners.set(id, { entry, set: strip(fieldSetOf(config, schema), manager.ignored) })
  const pruned = last && !last.empty ? prune(merged, owners, last, schema) : merged
  const difference = compare(liveValue ?? {}, pruned, schema)
  const changed = difference.modified.union(difference.added).without(manager.ignored)
  if (!force) refuseConflicts(owners, id, changed)
  takeFields(owners, id, changed, difference.removed.without(manager.ignored))
  const result = pruned as KubeObject
  return { ...result, metadata: { ...result.metadata, managedFields: encode(owners, before, manager.now) } }
}

/** An object that nobody managed so far: its fields belong to "before-first-apply". */
function adoptUnmanaged(owners: Map<string, Owner>, live: KubeObject, manager: Manager): void {
  const entry = { ...entryOf(manager, 'Update'), manager: 'before-first-apply' }
  const set = strip(fieldSetOf(comparable(live) ?? {}, manager.schema), manager.ignored)
  owners.set(identity(entry), { entry, set })
}

/** Removes what the manager applied before and applies no more, as far as nobody else owns it. */
function prune(merged: Json, owners: Map<string, Owner>, last: FieldSet, schema: Schema): Json {
  const named = (set: FieldSet) => set.ensureNamedFieldsAreMembers(schema)
  const all = named(fieldSetOf(merged, schema))
  const lastNamed = named(last)
  const first = removeItems(merged, lastNamed, schema)
  const owned = named([...owners.values()].reduce((sum, owner) => sum.union(owner.set), new FieldSet()))
  const unowned = all.difference(named(fieldSetOf(first, schema))).difference(owned)
  const second = removeItems(merged, unowned, schema)
  const dangling = all.difference(named(fieldSetOf(second, schema))).intersection(lastNamed)
  return removeItems(merged, dangling.difference(NOT_OWNED_METADATA), schema)
}

function refuseConflicts(owners: Map<string, Owner>, applier: string, changed: FieldSet): void {
  const conflicts = [...owners]
    .filter(([id]) => id !== applier)
    .flatMap(([, { entry, set }]) =>
      set
        .intersection(changed)
        .paths()
        .map((path) => ({ who: managerText(entry), path: pathText(path) })),
    )
  if (conflicts.length === 0) return
  const causes: Cause[] = conflicts.map(({ who, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }))
  throw applyConflict(conflictMessage(conflicts), causes)
}

function managerText({ manager, subresource, operation, apiVersion }: Omit<ManagedFieldsEntry, 'fieldsV1'>): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '')
  return operation === 'Update' ? `${name} using ${apiVersion}` : name
}

function conflictMessage(conflicts: { who: string; path: string }[]): string {
  const [first] = conflicts
  if (first && conflicts.length === 1) return `Apply failed with 1 conflict: conflict with ${first.who}: ${first.path}`
  const managers = [...new Set(conflicts.map(({ who }) => who))].sort()
  const parts = managers.map((who) => {
    const paths = conflicts.filter((conflict) => conflict.who === who).map(({ path }) => `- ${path}`)
    return `conflicts with ${who}:\n${paths.join('\n')}`
  })
  return `Apply failed with ${conflicts.length} conflicts: ${parts.join('\n')}`
}

/** @throws ApiError 500 (the real server's choice) when an applied config does not fit its schema */
export function checkTyped(
  config: JsonObject,
  schema: Schema,
  of: { group: string; version: string; kind: string },
): void {
  const problems = typedErrors(config, schema)
  if (problems.length === 0) return
  const [namespace, name] = [at(config, 'metadata', 'namespace') ?? '', at(config, 'metadata', 'name') ?? '']
  const id = `${namespace}/${name}; ${of.group}/${of.version}, Kind=${of.kind}`
  const text = problems.length === 1 ? problems[0] : `errors:\n${problems.map((problem) => `  ${problem}`).join('\n')}`
  throw new ApiError(500, '', `failed to create typed patch object (${id}): ${text}`)
}

/** Whether two objects are the same but for the times in managedFields: then nothing is written. */
export function sameButForTimes(a: KubeObject, b: KubeObject): boolean {
  const untimed = (object: KubeObject): Json => ({
    ...object,
    metadata: {
      ...object.metadata,
      managedFields: (object.metadata.managedFields ?? []).map(({ time: _time, ...entry }) => entry),
    },
  })
  return equal(untimed(a), untimed(b)) && isObject(a)
}
