/**
 * Whether a desired object still has to be applied. A settled object causes no write: its live form carries the hash of
 * what we last applied, and every field we want still has the value we want (so drift is noticed with the hash intact).
 * All functions here are pure.
 */

import { createHash } from 'node:crypto'
import { sameQuantity } from './quantity.ts'
import type { KubeObject } from './types.ts'

type Fields = Record<string, unknown>

/** SHA-256 (24 hex digits) of the object's JSON with sorted keys and without undefined: equal for equal objects. */
export function canonicalHash(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 24)
}

/**
 * Hash of what is applied. Of a Secret only the names of its keys: whoever sees the annotation could try passwords on a
 * hash of the values, and a value that differs from the live one is noticed without.
 */
function appliedHash(desired: KubeObject): string {
  if (desired.kind !== 'Secret') return canonicalHash(desired)
  const { data, stringData, ...rest } = desired
  return canonicalHash({
    ...rest,
    data: data && namesOnly(data),
    stringData: isFields(stringData) ? namesOnly(stringData) : undefined,
  })
}

const namesOnly = (data: Fields): Fields => Object.fromEntries(Object.keys(data).map((name) => [name, '']))

/** The desired object with its own hash in an annotation: what is then applied. */
export function withHash<T extends KubeObject>(desired: T, annotation: string): T {
  const metadata = desired.metadata
  const annotations = { ...metadata.annotations, [annotation]: appliedHash(desired) }
  return { ...desired, metadata: { ...metadata, annotations } }
}

/**
 * True when `desired` (without the annotation; withHash adds it) must be applied to `live`.
 * @param annotation where the applied hash is kept, e.g. "example.io/applied-hash"
 */
export function needsApply(desired: KubeObject, live: KubeObject | undefined, annotation: string): boolean {
  if (!live) return true
  // A field that was dropped from desired shows only here: what is not desired is not compared below.
  if (live.metadata.annotations?.[annotation] !== appliedHash(desired)) return true
  return differs(desired, live) !== undefined
}

/**
 * Compares what is desired with what is there, as server-side apply would leave it: fields that are not desired may
 * have any value, items of lists with merge keys may stand among others, atomic lists and maps must be equal.
 * @returns the path of the first difference, "spec.replicas", for logs; undefined when nothing has to be applied
 */
export function differs(desired: KubeObject, live: KubeObject): string | undefined {
  const { stringData, ...rest } = desired
  const wanted: Fields = rest
  if (typeof stringData === 'object' && stringData !== null) {
    // The API turns stringData into data and never shows it again.
    const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')])
    wanted.data = { ...desired.data, ...Object.fromEntries(encoded) }
  }
  return difference(wanted, live, [desired.kind])
}

/** Parents whose children are quantities, and fields that are quantities themselves. */
const QUANTITY_MAPS = new Set(['requests', 'limits', 'capacity', 'hard', 'default', 'defaultRequest', 'max', 'min'])
const QUANTITIES = new Set(['sizeLimit', 'averageValue', 'size', 'divisor', 'shmSize'])
/** Maps and structs that server-side apply treats as one value (+mapType/+structType=atomic), compared whole. */
const ATOMIC_MAPS = new Set(['selector', 'podSelector', 'namespaceSelector', 'labelSelector', 'nodeSelector'])
/** Booleans whose absence does not mean false, so `false` wanted and nothing there is a difference. */
const NO_DEFAULT_FALSE = new Set([
  'automountServiceAccountToken',
  'allowPrivilegeEscalation',
  'allocateLoadBalancerNodePorts',
  'enableServiceLinks',
  'enablePDB',
])
/** Merge keys of associative lists by field name (+listType=map in k8s.io/api). */
const MERGE_KEYS: Record<string, string[]> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  hostAliases: ['ip'],
  ownerReferences: ['uid'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  conditions: ['type'],
}

function difference(desired: unknown, live: unknown, path: string[]): string | undefined {
  if (desired === undefined || desired === null) return undefined // null is not sent: it wants nothing
  if (Array.isArray(desired)) return listDifference(desired, live, path)
  if (isFields(desired)) return mapDifference(desired, live, path)
  return sameScalar(desired, live, path) ? undefined : pathText(path)
}

function mapDifference(desired: Fields, live: unknown, path: string[]): string | undefined {
  const wanted = Object.entries(desired).filter(([, value]) => value !== undefined && value !== null)
  // The API drops empty maps that are optional and keeps those that mean something (emptyDir: {}), with or without content.
  if (!isFields(live))
    return wanted.every(([key, value]) => absent(value, live, [...path, key])) ? undefined : pathText(path)
  if (ATOMIC_MAPS.has(path.at(-1) ?? '')) {
    const foreign = Object.keys(live).find((key) => desired[key] === undefined)
    if (foreign !== undefined) return pathText([...path, foreign])
  }
  for (const [key, value] of wanted) {
    const found = difference(value, live[key], [...path, key])
    if (found !== undefined) return found
  }
  return undefined
}

/** For a map that is not there at all: did we want anything in it? */
function absent(desired: unknown, live: unknown, path: string[]): boolean {
  return live === undefined && difference(desired, undefined, path) === undefined
}

function listDifference(desired: unknown[], live: unknown, path: string[]): string | undefined {
  const found = Array.isArray(live) ? live : []
  const keys = mergeKeysOf(path)
  if (keys) {
    for (const item of desired) {
      const twin = found.find((candidate) => keys.every((key) => sameKey(item, candidate, key)))
      const where = [...path, keys.map((key) => field(item, key)).join('/')]
      if (twin === undefined) return pathText(where)
      const inside = difference(item, twin, where)
      if (inside !== undefined) return inside
    }
    return undefined
  }
  if (path.at(-1) === 'finalizers') return desired.every((item) => found.includes(item)) ? undefined : pathText(path)
  if (desired.length !== found.length) return pathText(path)
  for (const [index, item] of desired.entries()) {
    const inside = difference(item, found[index], [...path, String(index)])
    if (inside !== undefined) return inside
  }
  return undefined
}

/** Lists called "ports" differ: of a container and of a Service they are associative, in a NetworkPolicy atomic. */
function mergeKeysOf(path: string[]): string[] | undefined {
  const name = path.at(-1) ?? ''
  if (name !== 'ports') return MERGE_KEYS[name]
  if (path.at(-3) === 'containers' || path.at(-3) === 'initContainers') return ['containerPort', 'protocol']
  return path[0] === 'Service' && path.length === 3 ? ['port', 'protocol'] : undefined
}

function sameKey(desired: unknown, live: unknown, key: string): boolean {
  // The only merge key with a default.
  const fallback = key === 'protocol' ? 'TCP' : undefined
  return (field(desired, key) ?? fallback) === (field(live, key) ?? fallback)
}

function sameScalar(desired: unknown, live: unknown, path: string[]): boolean {
  if (desired === live) return true
  const name = path.at(-1) ?? ''
  if (live === undefined || live === null) {
    // `omitempty`: zero values of plain fields are never stored.
    return (desired === '' || desired === 0 || desired === false) && !NO_DEFAULT_FALSE.has(name) && !isText(path)
  }
  if (isText(path) || !isStringOrNumber(desired) || !isStringOrNumber(live)) return false
  const quantity = QUANTITIES.has(name) || QUANTITY_MAPS.has(path.at(-2) ?? '') || isMetricTarget(path)
  if (quantity && sameQuantity(desired, live)) return true
  // int-or-string: the API keeps what it was given, generators of YAML do not always.
  return typeof desired !== typeof live && String(desired) === String(live)
}

/** Values that are text whatever they look like: contents of ConfigMaps and Secrets, labels, annotations. */
function isText(path: string[]): boolean {
  return ['data', 'binaryData', 'labels', 'annotations', 'matchLabels'].includes(path.at(-2) ?? '')
}

/** HorizontalPodAutoscaler spec.metrics[].*.target.value. */
function isMetricTarget(path: string[]): boolean {
  return path.at(-1) === 'value' && path.at(-2) === 'target'
}

function isStringOrNumber(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function field(value: unknown, key: string): unknown {
  return isFields(value) ? value[key] : undefined
}

function pathText(path: string[]): string {
  return path.slice(1).join('.') // without the kind, which stands first to tell "ports" apart
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`
  if (!isFields(value)) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`
}
