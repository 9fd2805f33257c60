/**
 * The write path of every object: decode, default, check, record ownership, store. One process and no await inside, so
 * that each write is atomic as it stands. Reads, watches and the shape of answers are elsewhere.
 */
import { randomInt, randomUUID } from 'node:crypto'
import { FieldSet } from './apply/fieldset.ts'
import { sameButForTimes, trackUpdate } from './apply/managed.ts'
import { applyDefaults, prune } from './crd/structural.ts'
import { validateObject } from './crd/validate.ts'
import { decodeTyped, JsonTypeError } from './decode.ts'
import { checkIdentity } from './identity.ts'
import { at, clone, isObject, type JsonObject, type KubeObject, kubeTime } from './json.ts'
import { desiredStateDiffers, keepSystemMetadata, metadataCauses, metadataUpdateCauses } from './metadata.ts'
import { apiVersionOf, asObject, type ResourceDefinition, served, storageKey } from './registry.ts'
import { objectMeta, topLevel } from './schema.ts'
import * as errors from './status-errors.ts'
import type { Storage } from './storage.ts'

export type WriteOptions = {
  dryRun: boolean
  fieldManager: string
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
  /** Texts for the client's Warning headers. */
  warnings: string[]
}

export type DeleteOptions = {
  dryRun: boolean
  propagationPolicy: 'Background' | 'Foreground' | 'Orphan'
  preconditions: { uid?: string; resourceVersion?: string }
}

const STATUS_FIELDS = FieldSet.fromFieldsV1({ 'f:status': {} })
const NAME_SUFFIX = 'bcdfghjklmnpqrstvwxz2456789'
const NAMESPACE_BUCKET = 'namespaces'
const METADATA_ONLY = topLevel({})

export class Objects {
  readonly #storage: Storage
  readonly #now: () => Date

  constructor(storage: Storage, now: () => Date) {
    this.#storage = storage
    this.#now = now
  }

  get storage(): Storage {
    return this.#storage
  }

  /** @throws ApiError 404 */
  get(definition: ResourceDefinition, namespace: string, name: string): KubeObject {
    return served(definition, this.stored(definition, namespace, name))
  }

  stored(definition: ResourceDefinition, namespace: string, name: string): KubeObject {
    const object = this.#storage.get(definition.bucket, storageKey(namespace, name))
    if (!object) throw errors.notFound(resourceName(definition), name)
    return object
  }

  /** Creates from a client's body. @throws ApiError 400, 403, 404, 409, 422 */
  create(definition: ResourceDefinition, namespace: string, raw: JsonObject, options: WriteOptions): KubeObject {
    checkIdentity(definition, namespace, raw, undefined)
    const object = this.decode(definition, raw, options)
    if (object.metadata.resourceVersion) {
      throw new errors.ApiError(500, '', 'resourceVersion should not be set on objects to be created')
    }
    return this.#insert(definition, namespace, object, options, (next) =>
      trackUpdate(undefined, next, this.managerOf(definition, '', options)),
    )
  }

  /** Creates what a server-side apply merged; its managedFields are there already. */
  createApplied(
    definition: ResourceDefinition,
    namespace: string,
    object: KubeObject,
    options: WriteOptions,
  ): KubeObject {
    return this.#insert(definition, namespace, object, options, (next) => next.metadata.managedFields)
  }

  #insert(
    definition: ResourceDefinition,
    namespace: string,
    object: KubeObject,
    options: WriteOptions,
    ownership: (next: KubeObject) => KubeObject['metadata']['managedFields'],
  ): KubeObject {
    const { metadata } = object
    if (definition.namespaced) metadata.namespace = namespace
    else delete metadata.namespace
    const generated = !metadata.name && metadata.generateName
    if (generated) metadata.name = this.#generateName(definition, namespace, generated)
    this.#checkNamespace(definition, namespace, metadata.name ?? '')
    metadata.uid = randomUUID()
    metadata.creationTimestamp = kubeTime(this.#now())
    delete metadata.deletionTimestamp
    delete metadata.deletionGracePeriodSeconds
    delete metadata.resourceVersion
    delete metadata.generation
    if (definition.generation) metadata.generation = 1
    const managedFields = ownership(object)
    let next: KubeObject = { ...object, metadata: { ...metadata, ...(managedFields?.length && { managedFields }) } }
    if (definition.status) {
      delete next.status
      next = asObject(applyDefaults(next, definition.schema) as JsonObject)
    }
    definition.hooks.prepareCreate?.(next)
    this.#validate(definition, next, undefined)
    const key = storageKey(namespace, next.metadata.name)
    if (this.#storage.get(definition.bucket, key))
      throw errors.alreadyExists(resourceName(definition), next.metadata.name)
    if (options.dryRun) return served(definition, next)
    return served(definition, this.#storage.put(definition.bucket, key, toStored(definition, next)))
  }

  /** Replaces from a client's body; `subresource` says which half of the object it may change. */
  replace(
    definition: ResourceDefinition,
    namespace: string,
    name: string,
    raw: JsonObject,
    subresource: string,
    options: WriteOptions,
  ): KubeObject {
    checkIdentity(definition, namespace, raw, name)
    const live = this.get(definition, namespace, name)
    const next = this.decode(definition, raw, options)
    return this.update(definition, live, next, subresource, options)
  }

  /** Stores the next state of a live object, tracking its changes as an Update of the manager. */
  update(
    definition: ResourceDefinition,
    live: KubeObject,
    next: KubeObject,
    subresource: string,
    options: WriteOptions,
  ): KubeObject {
    this.checkPreconditions(definition, live, next.metadata)
    const managedFields = trackUpdate(live, next, this.managerOf(definition, subresource, options))
    return this.finish(
      definition,
      live,
      { ...next, metadata: { ...next.metadata, managedFields } },
      subresource,
      options,
    )
  }

  /** The common end of updates, patches and applies. @returns what is stored now; the live object for a no-op */
  finish(
    definition: ResourceDefinition,
    live: KubeObject,
    changed: KubeObject,
    subresource: string,
    options: { dryRun: boolean },
  ): KubeObject {
    let next = clone(changed)
    const managedFields = next.metadata.managedFields
    if (subresource === 'status') {
      next = { ...clone(live), ...(next.status !== undefined && { status: next.status }) }
      if (changed.status === undefined) delete next.status
    } else if (definition.status) {
      if (live.status === undefined) delete next.status
      else next.status = clone(live.status)
    }
    next.apiVersion = live.apiVersion
    next.kind = live.kind
    const { resourceVersion, name, namespace } = live.metadata
    next.metadata = {
      ...next.metadata,
      name,
      ...(namespace && { namespace }),
      ...(resourceVersion && { resourceVersion }),
    }
    if (managedFields?.length) next.metadata.managedFields = managedFields
    else delete next.metadata.managedFields
    keepSystemMetadata(next, live)
    if (subresource !== 'status') definition.hooks.prepareUpdate?.(next, live)
    if (definition.generation && desiredStateDiffers(next, live, definition.status)) {
      next.metadata.generation = (live.metadata.generation ?? 0) + 1
    }
    this.#validate(definition, next, live)
    const key = storageKey(namespace ?? '', name)
    if (next.metadata.deletionTimestamp && this.#mayGo(next)) {
      if (options.dryRun) return next
      return served(definition, this.#storage.delete(definition.bucket, key) ?? toStored(definition, next))
    }
    if (sameButForTimes(next, live)) return live
    if (options.dryRun) return next
    return served(definition, this.#storage.put(definition.bucket, key, toStored(definition, next)))
  }

  /** Deletes, or marks as deleted while finalizers hold it. @returns the object when it is still there */
  delete(
    definition: ResourceDefinition,
    namespace: string,
    name: string,
    options: DeleteOptions,
  ): { object: KubeObject; gone: boolean } {
    const live = this.get(definition, namespace, name)
    const { uid, resourceVersion } = options.preconditions
    if (uid && uid !== live.metadata.uid) {
      const why = `the UID in the precondition (${uid}) does not match the UID in record (${live.metadata.uid}). The object might have been deleted and then recreated`
      throw errors.conflict({ group: definition.group, resource: definition.kind }, name, why)
    }
    if (resourceVersion && resourceVersion !== live.metadata.resourceVersion) {
      const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${live.metadata.resourceVersion}). The object might have been modified`
      throw errors.conflict({ group: definition.group, resource: definition.kind }, name, why)
    }
    const finalizers = new Set(live.metadata.finalizers)
    if (options.propagationPolicy === 'Foreground') finalizers.add('foregroundDeletion')
    else if (options.propagationPolicy === 'Orphan') finalizers.add('orphan')
    if (definition.bucket === 'apiextensions.k8s.io/customresourcedefinitions') {
      finalizers.add('customresourcecleanup.apiextensions.k8s.io')
    }
    const key = storageKey(namespace, name)
    const next: KubeObject = { ...live, metadata: { ...live.metadata, finalizers: [...finalizers] } }
    if (this.#mayGo(next)) {
      if (options.dryRun) return { object: live, gone: true }
      return { object: served(definition, this.#storage.delete(definition.bucket, key) ?? live), gone: true }
    }
    if (finalizers.size === 0) delete next.metadata.finalizers
    if (live.metadata.deletionTimestamp) return { object: live, gone: false }
    next.metadata.deletionTimestamp = kubeTime(this.#now())
    next.metadata.deletionGracePeriodSeconds = 0
    if (next.metadata.generation) next.metadata.generation += 1
    if (definition.bucket === NAMESPACE_BUCKET) {
      next.status = { phase: 'Terminating' }
      delete next.metadata.deletionGracePeriodSeconds
    }
    if (options.dryRun) return { object: next, gone: false }
    return {
      object: served(definition, this.#storage.put(definition.bucket, key, toStored(definition, next))),
      gone: false,
    }
  }

  /** A change by one of this server's own controllers: no validation, no ownership. */
  amend(bucket: string, key: string, change: (object: KubeObject) => void): void {
    const live = this.#storage.get(bucket, key)
    if (!live) return
    const next = clone(live)
    change(next)
    if (next.metadata.finalizers?.length === 0) delete next.metadata.finalizers
    if (next.metadata.deletionTimestamp && this.#mayGo(next)) this.#storage.delete(bucket, key)
    else if (!sameButForTimes(next, live)) this.#storage.put(bucket, key, next)
  }

  /** A client's body as an object of this kind: typed, pruned and defaulted. @throws ApiError 400 */
  decode(
    definition: ResourceDefinition,
    raw: JsonObject,
    options: Pick<WriteOptions, 'fieldValidation' | 'warnings'>,
  ): KubeObject {
    const unknown: string[] = []
    const where = `${definition.kind} in version ${JSON.stringify(definition.version)} cannot be handled as a ${definition.kind}`
    try {
      const decoded = definition.custom
        ? decodeCustom(definition, raw, unknown)
        : decodeTyped(raw, definition.schema, '', unknown)
      if (unknown.length > 0 && options.fieldValidation === 'Strict') {
        throw errors.badRequest(
          `${where}: strict decoding error: ${unknown.map((field) => `unknown field "${field}"`).join(', ')}`,
        )
      }
      if (options.fieldValidation === 'Warn')
        options.warnings.push(...unknown.map((field) => `unknown field "${field}"`))
      const object = asObject(applyDefaults(decoded, definition.schema) as JsonObject)
      object.apiVersion = apiVersionOf(definition)
      object.kind = definition.kind
      object.metadata ??= { name: '' }
      definition.hooks.setDefaults?.(object)
      return object
    } catch (error) {
      if (error instanceof JsonTypeError)
        throw errors.badRequest(`${where}: ${error.message.replace('field Spec.', `field ${definition.kind}Spec.`)}`)
      throw error
    }
  }

  managerOf(definition: ResourceDefinition, subresource: string, options: WriteOptions) {
    return {
      name: options.fieldManager,
      subresource,
      apiVersion: apiVersionOf(definition),
      now: this.#now(),
      schema: definition.schema,
      ignored: ignoredFields(definition, subresource),
    }
  }

  #mayGo(object: KubeObject): boolean {
    const held = at(object, 'spec', 'finalizers')
    const namespaceHeld = object.kind === 'Namespace' && Array.isArray(held) && held.length > 0
    return !object.metadata.finalizers?.length && !namespaceHeld
  }

  #generateName(definition: ResourceDefinition, namespace: string, prefix: string): string {
    for (;;) {
      const suffix = Array.from({ length: 5 }, () => NAME_SUFFIX[randomInt(NAME_SUFFIX.length)]).join('')
      const name = prefix.slice(0, 58) + suffix
      if (!this.#storage.get(definition.bucket, storageKey(namespace, name))) return name
    }
  }

  #checkNamespace(definition: ResourceDefinition, namespace: string, name: string): void {
    if (!definition.namespaced) return
    const found = this.#storage.get(NAMESPACE_BUCKET, namespace)
    if (!found) throw errors.notFound({ group: '', resource: 'namespaces' }, namespace)
    if (!found.metadata.deletionTimestamp) return
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`
    const error = errors.forbidden(resourceName(definition), name, why)
    const { details } = error.status
    if (isObject(details)) {
      details.causes = [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ]
    }
    throw error
  }

  checkPreconditions(definition: ResourceDefinition, live: KubeObject, asked: KubeObject['metadata']): void {
    const { name } = live.metadata
    if (asked.uid && asked.uid !== live.metadata.uid) throw uidConflict(definition, asked.uid, live)
    if (asked.resourceVersion && asked.resourceVersion !== live.metadata.resourceVersion) {
      throw errors.conflict(resourceName(definition), name, errors.MODIFIED)
    }
  }

  #validate(definition: ResourceDefinition, object: KubeObject, old: KubeObject | undefined): void {
    const causes = metadataCauses(object, definition.nameRule)
    if (old) causes.push(...metadataUpdateCauses(object, old))
    causes.push(...validateObject(definition, object, old))
    causes.push(...(definition.hooks.validate?.(object, old) ?? []))
    if (causes.length > 0) throw errors.invalid(definition, object.metadata.name ?? '', causes)
  }
}

export function resourceName(definition: ResourceDefinition): errors.ResourceName {
  return { group: definition.group, resource: definition.plural }
}

function uidConflict(definition: ResourceDefinition, asked: string, { metadata }: KubeObject): errors.ApiError {
  const key = `/registry/${definition.bucket}/${storageKey(metadata.namespace ?? '', metadata.name)}`
  const why = `Precondition failed: UID in precondition: ${asked}, UID in object meta: ${metadata.uid}`
  const text = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`
  return errors.conflict(resourceName(definition), metadata.name, text)
}

function toStored(definition: ResourceDefinition, object: KubeObject): KubeObject {
  return definition.hooks.toStored ? definition.hooks.toStored(object) : object
}

function ignoredFields(definition: ResourceDefinition, subresource: string): FieldSet {
  if (subresource === 'status') {
    const others = Object.keys(definition.schema.properties ?? {}).filter(
      (key) => !['status', 'metadata', 'apiVersion', 'kind'].includes(key),
    )
    return FieldSet.fromFieldsV1(Object.fromEntries([...others.map((key) => [`f:${key}`, {}]), ['f:metadata', {}]]))
  }
  return definition.status ? STATUS_FIELDS : new FieldSet()
}

function decodeCustom(definition: ResourceDefinition, raw: JsonObject, unknown: string[]): JsonObject {
  const metadata = decodeTyped(raw.metadata ?? {}, objectMeta, 'ObjectMeta.metadata', unknown)
  const { properties = {} } = METADATA_ONLY
  const pruned = prune(
    { ...raw, metadata: {} },
    { ...definition.schema, properties: { ...definition.schema.properties, ...properties } },
    '',
    unknown,
  )
  return { ...(isObject(pruned) ? pruned : {}), metadata }
}
