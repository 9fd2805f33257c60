/**
 * The words of the controller runtime: raw Kubernetes objects as JSON, and what the rest of the operator may ask of the
 * API. Nothing here knows mail. Objects are plain JSON as the API sent it (timestamps are strings, unknown fields stay):
 * a dropped field in a server-side apply means "I no longer own it", so no generated model ever stands in between.
 */

import type { KubeError } from './errors.ts'

/** JSON as the API speaks it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** metadata.ownerReferences[] (meta/v1). */
export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** metadata of any object (meta/v1 ObjectMeta), as far as a controller looks at it. */
export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  managedFields?: { manager?: string; operation?: string; subresource?: string; fieldsV1?: Record<string, unknown> }[]
}

/** Any object. Callers narrow with their own types: `KubeObject<DeploymentSpec, DeploymentStatus>`. */
export interface KubeObject<Spec = unknown, Status = unknown> {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  spec?: Spec
  status?: Status
  /** Secrets and ConfigMaps. */
  data?: Record<string, string>
  [field: string]: unknown
}

/** Names a kind on the wire: {group: '', version: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true}. */
export interface Resource {
  /** '' for core. */
  group: string
  version: string
  kind: string
  plural: string
  namespaced: boolean
}

/** Names one object. */
export interface ObjectKey {
  namespace: string
  name: string
}

/** `key` as "namespace/name", the form queues and logs use. */
export function keyText(key: ObjectKey): string {
  return key.namespace ? `${key.namespace}/${key.name}` : key.name
}

/** metav1.Condition. `lastTransitionTime` is RFC 3339 and changes only when `status` does. */
export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  observedGeneration?: number
  lastTransitionTime: string
}

export interface ListOptions {
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
}

/**
 * The API server, one method per verb, raw JSON in and out, over kept-alive connections. Every call throws a KubeError
 * (errors.ts: NotFound, AlreadyExists, Conflict, Gone, Invalid, Forbidden, TooManyRequests, Transient) and has a deadline;
 * 429 and 5xx with Retry-After, and connection errors of idempotent calls, are retried a few times before they throw.
 */
export interface KubeClient {
  get<T extends KubeObject = KubeObject>(resource: Resource, key: ObjectKey): Promise<T>
  /** As get, but undefined where the object (or its kind) does not exist. */
  find<T extends KubeObject = KubeObject>(resource: Resource, key: ObjectKey): Promise<T | undefined>
  /**
   * All pages, apiVersion and kind filled in on each item.
   * @param transform shrinks each object as its page comes, so that no more is held than what is kept
   */
  list<T extends KubeObject = KubeObject>(
    resource: Resource,
    options?: ListOptions,
    transform?: (object: T) => T,
  ): Promise<{ items: T[]; resourceVersion: string }>
  create<T extends KubeObject = KubeObject>(resource: Resource, object: KubeObject): Promise<T>
  /** PUT: metadata.resourceVersion decides about conflicts. */
  replace<T extends KubeObject = KubeObject>(
    resource: Resource,
    object: KubeObject,
    subresource?: 'status' | 'scale',
  ): Promise<T>
  /** Server-side apply of exactly the fields given. `force` defaults to true: we own what we apply. */
  apply<T extends KubeObject = KubeObject>(
    resource: Resource,
    object: KubeObject,
    options: { fieldManager: string; force?: boolean; subresource?: 'status'; dryRun?: boolean },
  ): Promise<T>
  /** JSON merge patch (RFC 7386). */
  mergePatch<T extends KubeObject = KubeObject>(
    resource: Resource,
    key: ObjectKey,
    patch: unknown,
    options?: { subresource?: 'status' | 'scale'; fieldManager?: string },
  ): Promise<T>
  /** True when it was there. Already gone is not an error. */
  delete(
    resource: Resource,
    key: ObjectKey,
    options?: { uid?: string; propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' },
  ): Promise<boolean>
  /** The served version of a kind that may be absent (CRDs of others); undefined when not served. Cached a short while. */
  discover(group: string, kind: string): Promise<Resource | undefined>
  /** Any other call, for subresources and raw paths: `raw('GET', '/version')`. */
  raw(method: string, path: string, body?: unknown, contentType?: string): Promise<Json>
}

/** What a reflector tells of an object. */
export interface Change<T extends KubeObject = KubeObject> {
  type: 'set' | 'deleted'
  object: T
  /** What was known before: the object itself where it is only told again. */
  previous?: T
  /** It was there before anybody listened, so nothing has happened to it. */
  isInInitialList?: true
}

/** A cache of one kind, filled by list and kept by watch. */
export interface Reflector<T extends KubeObject = KubeObject> {
  /** Resolves once the first list is in, or is refused. */
  readonly synced: Promise<void>
  /** Why the list cannot be read at the moment (Forbidden, or NotFound: the kind is not served); what was known stays. */
  unreadable(): KubeError | undefined
  get(key: ObjectKey): T | undefined
  list(namespace?: string): T[]
  /** Called with every object that came, changed or went (also after a re-list: what vanished is told as deleted). */
  onChange(listener: (change: Change<T>) => void): void
  /** Milliseconds since the API last said anything (event, bookmark, list or refusal): for health and metrics. */
  sinceLastContactMs(): number
  stop(): Promise<void>
}
