/** What may leave the cluster in a report: objects without any Secret's value. Pure. */

import type { KubeObject } from '../kube/types.ts'

/** Shorter values are names, ports and the like, and would be found everywhere. */
const MIN_SECRET = 8
/** Keys of Secrets whose values are public, or names that reports are about. */
const PUBLIC_KEYS = /^(ca\.crt|tls\.crt|username|user|host|port|dbname|database|endpoint|region|bucket)$/
const NAMED_SECRET = /pass(word|wd)?|secret|token|credential|private|api_?key|access_?key/i
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@:"']*:[^\s/@"']*@/gi

export const REDACTED = '[redacted]'

/**
 * Secrets keep their keys and the lengths of their values. Everywhere else goes what those values are, passwords in URLs,
 * and literal environment variables that are called like a secret.
 * @param secrets whose values must not be seen, besides those among the objects
 */
export function redacted(objects: readonly KubeObject[], secrets: readonly KubeObject[] = []): KubeObject[] {
  const values = [...objects, ...secrets].filter(isSecret).flatMap(secretValues)
  // The longest first: one may be part of another.
  const known = [...new Set(values)].sort((a, b) => b.length - a.length)
  const clean = (text: string) =>
    known.reduce((left, value) => left.replaceAll(value, REDACTED), text).replaceAll(URL_CREDENTIALS, `$1${REDACTED}@`)
  return objects.map(
    (object) => walk(withoutNoise(isSecret(object) ? lengthsOnly(object) : object), clean) as KubeObject,
  )
}

const isSecret = ({ kind }: KubeObject) => kind === 'Secret'

function secretValues({ data = {} }: KubeObject): string[] {
  return Object.entries(data)
    .filter(([key]) => !PUBLIC_KEYS.test(key))
    .flatMap(([, base64]) => [Buffer.from(base64, 'base64').toString('utf8').trim(), base64])
    .filter((value) => value.length >= MIN_SECRET)
}

function lengthsOnly(secret: KubeObject): KubeObject {
  const lengths = Object.entries(secret.data ?? {}).map(([key, base64]) => [
    key,
    `${REDACTED}, ${Buffer.from(base64, 'base64').length} bytes`,
  ])
  const { stringData: _, ...rest } = secret
  return { ...rest, data: Object.fromEntries(lengths) }
}

/** managedFields are long and say little; last-applied holds a whole object, of a Secret too. */
function withoutNoise(object: KubeObject): KubeObject {
  const { managedFields: _, annotations, ...metadata } = object.metadata
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...kept } = annotations ?? {}
  return { ...object, metadata: { ...metadata, ...(annotations ? { annotations: kept } : {}) } }
}

/** Every text of an object, and `value` beside a `name` that sounds like a secret (env of a container). */
function walk(node: unknown, clean: (text: string) => string): unknown {
  if (typeof node === 'string') return clean(node)
  if (Array.isArray(node)) return node.map((item) => walk(item, clean))
  if (typeof node !== 'object' || node === null) return node
  const { name } = node as { name?: unknown }
  const named = typeof name === 'string' && NAMED_SECRET.test(name)
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      named && key === 'value' && typeof value === 'string' ? REDACTED : walk(value, clean),
    ]),
  )
}
