/**
 * What Kubernetes' own controllers do to objects behind the API: dependents follow their owners, namespaces and CRDs
 * are emptied before they go, CRDs get their conditions. Works through a queue after each write, never inside one.
 */
import { acceptCustomResource, CRD_BUCKET } from './crd/register.ts'
import { at, isObject, type KubeObject } from './json.ts'
import type { Objects } from './objects.ts'
import { type Registry, storageKey } from './registry.ts'
import type { Change, Storage } from './storage.ts'

type Reference = { bucket: string; key: string }

export class GarbageCollector {
  #storage: Storage
  #objects: Objects
  #registry: Registry
  #now: () => Date
  #live = new Map<string, Reference>()
  #dependents = new Map<string, Set<string>>()
  #queue = new Map<string, Reference & { gone?: KubeObject }>()
  #scheduled: NodeJS.Immediate | undefined
  #unsubscribe: () => void

  constructor({
    storage,
    objects,
    registry,
    now,
  }: { storage: Storage; objects: Objects; registry: Registry; now: () => Date }) {
    this.#storage = storage
    this.#objects = objects
    this.#registry = registry
    this.#now = now
    for (const { bucket, key, object } of storage.all()) this.#index(bucket, key, object)
    for (const { bucket, key } of storage.all()) this.#enqueue(bucket, key)
    this.#unsubscribe = storage.subscribe((change) => this.#see(change))
  }

  close(): void {
    this.#unsubscribe()
    clearImmediate(this.#scheduled)
  }

  #index(bucket: string, key: string, object: KubeObject): void {
    if (object.metadata.uid) this.#live.set(object.metadata.uid, { bucket, key })
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(uid) ?? new Set()
      this.#dependents.set(uid, dependents.add(`${bucket}\n${key}`))
    }
  }

  #see({ bucket, key, object, previous, deleted }: Change): void {
    for (const { uid } of previous?.metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(uid)
      dependents?.delete(`${bucket}\n${key}`)
      if (dependents?.size === 0) this.#dependents.delete(uid)
    }
    if (deleted) this.#live.delete(object.metadata.uid ?? '')
    else this.#index(bucket, key, object)
    this.#enqueue(bucket, key, deleted ? object : undefined)
  }

  #enqueue(bucket: string, key: string, gone?: KubeObject): void {
    this.#queue.set(`${bucket}\n${key}\n${gone?.metadata.uid ?? ''}`, { bucket, key, ...(gone && { gone }) })
    this.#scheduled ??= setImmediate(() => this.#work())
  }

  #work(): void {
    this.#scheduled = undefined
    const items = [...this.#queue.values()]
    this.#queue.clear()
    for (const { bucket, key, gone } of items) {
      if (gone) this.#afterDeletion(gone, bucket)
      else this.#look(bucket, key)
    }
  }

  #look(bucket: string, key: string): void {
    const object = this.#storage.get(bucket, key)
    if (!object) return
    if (bucket === CRD_BUCKET && !object.metadata.deletionTimestamp)
      acceptCustomResource(this.#objects, key, this.#now())
    if (bucket === 'namespaces') this.#tendNamespace(object)
    if (this.#ownersGone(bucket, key, object) || !object.metadata.deletionTimestamp) return
    const finalizers = object.metadata.finalizers ?? []
    if (bucket === CRD_BUCKET && finalizers.includes('customresourcecleanup.apiextensions.k8s.io'))
      this.#emptyCustomResource(key, object)
    if (finalizers.includes('orphan')) this.#orphanDependents(bucket, key, object)
    else if (finalizers.includes('foregroundDeletion')) this.#deleteForeground(bucket, key, object)
  }

  /** Deletes an object whose owners are all gone; forgets the gone ones among several. */
  #ownersGone(bucket: string, key: string, object: KubeObject): boolean {
    const owners = object.metadata.ownerReferences ?? []
    const alive = owners.filter(({ uid }) => this.#live.has(uid))
    if (owners.length === 0 || alive.length === owners.length) return false
    if (alive.length === 0) this.#delete(bucket, key, 'Background')
    else this.#objects.amend(bucket, key, (next) => (next.metadata.ownerReferences = alive))
    return alive.length === 0
  }

  #afterDeletion(gone: KubeObject, bucket: string): void {
    for (const { bucket, key } of this.#dependentsOf(gone)) this.#look(bucket, key)
    for (const { uid } of gone.metadata.ownerReferences ?? []) {
      const owner = this.#live.get(uid)
      if (owner) this.#look(owner.bucket, owner.key)
    }
    const { namespace } = gone.metadata
    if (namespace) this.#look('namespaces', namespace)
    if (bucket.includes('/')) this.#look(CRD_BUCKET, bucket.split('/').reverse().join('.'))
  }

  #dependentsOf(owner: KubeObject): Reference[] {
    return [...(this.#dependents.get(owner.metadata.uid ?? '') ?? [])].map((id) => {
      const [bucket = '', key = ''] = id.split('\n')
      return { bucket, key }
    })
  }

  #orphanDependents(bucket: string, key: string, object: KubeObject): void {
    for (const dependent of this.#dependentsOf(object)) {
      this.#objects.amend(dependent.bucket, dependent.key, (next) => {
        const rest = (next.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== object.metadata.uid)
        if (rest.length > 0) next.metadata.ownerReferences = rest
        else delete next.metadata.ownerReferences
      })
    }
    this.#dropFinalizer(bucket, key, 'orphan')
  }

  /** Dependents go first; the owner waits for those that block it. */
  #deleteForeground(bucket: string, key: string, object: KubeObject): void {
    let blocked = false
    for (const dependent of this.#dependentsOf(object)) {
      const found = this.#storage.get(dependent.bucket, dependent.key)
      const reference = found?.metadata.ownerReferences?.find(({ uid }) => uid === object.metadata.uid)
      if (!found || !reference) continue
      if (!found.metadata.deletionTimestamp) this.#delete(dependent.bucket, dependent.key, 'Foreground')
      if (reference.blockOwnerDeletion && this.#storage.get(dependent.bucket, dependent.key)) blocked = true
    }
    if (!blocked) this.#dropFinalizer(bucket, key, 'foregroundDeletion')
  }

  #dropFinalizer(bucket: string, key: string, finalizer: string): void {
    this.#objects.amend(bucket, key, (next) => {
      next.metadata.finalizers = (next.metadata.finalizers ?? []).filter((name) => name !== finalizer)
    })
  }

  #tendNamespace(namespace: KubeObject): void {
    const { name } = namespace.metadata
    if (!namespace.metadata.deletionTimestamp) {
      this.#giveServiceAccount(name)
      return
    }
    let left = 0
    for (const [bucket, definition] of this.#registry.buckets()) {
      if (!definition.namespaced) continue
      for (const object of this.#storage.list(bucket, name)) {
        if (!object.metadata.deletionTimestamp)
          this.#delete(bucket, storageKey(name, object.metadata.name), 'Background')
      }
      left += this.#storage.list(bucket, name).length
    }
    if (left > 0) return
    this.#objects.amend('namespaces', name, (next) => {
      next.spec = { ...(isObject(next.spec) && next.spec), finalizers: [] }
    })
  }

  /** Every namespace has a ServiceAccount `default`, as the service account controller sees to. */
  #giveServiceAccount(namespace: string): void {
    const definition = this.#registry.find('', 'v1', 'serviceaccounts')
    if (!definition || this.#storage.get('serviceaccounts', storageKey(namespace, 'default'))) return
    const options = {
      dryRun: false,
      fieldManager: 'kube-controller-manager',
      fieldValidation: 'Ignore' as const,
      warnings: [],
    }
    this.#objects.create(definition, namespace, { metadata: { name: 'default' } }, options)
  }

  #emptyCustomResource(key: string, crd: KubeObject): void {
    const bucket = `${at(crd, 'spec', 'group')}/${at(crd, 'spec', 'names', 'plural')}`
    for (const object of this.#storage.list(bucket)) {
      const { namespace = '', name, deletionTimestamp } = object.metadata
      if (!deletionTimestamp) this.#delete(bucket, storageKey(namespace, name), 'Background')
    }
    if (this.#storage.list(bucket).length === 0)
      this.#dropFinalizer(CRD_BUCKET, key, 'customresourcecleanup.apiextensions.k8s.io')
  }

  #delete(bucket: string, key: string, propagationPolicy: 'Background' | 'Foreground'): void {
    const definition = this.#registry.buckets().get(bucket)
    const object = this.#storage.get(bucket, key)
    if (!definition || !object) return
    this.#objects.delete(definition, object.metadata.namespace ?? '', object.metadata.name, {
      dryRun: false,
      propagationPolicy,
      preconditions: {},
    })
  }
}
