/**
 * What may leave the cluster in a report: objects without anything that helps to find a password or a key. Pure.
 *
 * Of a Secret: what it is called, the names of its keys and the lengths of their values. Everywhere else goes what
 * those values are, however it is written, what stands at a name that sounds like a secret, and what looks like one.
 */

import type { KubeObject } from '../kube/types.ts'
import { dkimAnnotations } from '../mailserver/desired/secrets.ts'
import { isSecretName } from './secret-names.ts'
import { cleanText, REDACTED, structuredSecrets } from './secret-text.ts'

/** Shorter ones are no secrets, and to take "on" out of every sentence would only tell what it is. */
const MIN_SECRET = 4
/** From here on a value is looked for inside of words too. */
const MIN_PART = 8
/** Keys of Secrets whose values are public, or names that reports are about. */
const PUBLIC_KEYS = /^(ca\.crt|tls\.crt|public\.txt|username|user|host|port|dbname|database|endpoint|region|bucket)$/
/** All that is kept of a Secret's annotations. */
const KEPT_ANNOTATIONS = new Set<string>([...Object.values(dkimAnnotations), 'argocd.argoproj.io/sync-options'])
/** Fields of references and options: below a name like "passwordSecretRef" they say where a secret is, not what. */
const HARMLESS_FIELDS = new Set(
  'name key namespace optional kind group apiVersion secretName items path defaultMode mode algorithm encoding size rotationPolicy expirationSeconds audience'.split(
    ' ',
  ),
)

/** @param secrets whose values must not be seen, besides those among the objects */
export function redacted(objects: readonly KubeObject[], secrets: readonly KubeObject[] = []): KubeObject[] {
  const values = [...objects, ...secrets].filter(isSecret).flatMap(secretValues)
  const withoutKnown = remover(values)
  const clean = (text: string) => cleanText(remover(structuredSecrets(text, secretsIn))(withoutKnown(text)))
  const cleaned = (object: KubeObject) => walk(object, clean) as KubeObject
  return objects.map((object) =>
    isSecret(object) ? { ...cleaned(outlineOf(object)), data: lengthsOf(object) } : cleaned(withoutNoise(object)),
  )
}

const isSecret = ({ kind }: KubeObject) => kind === 'Secret'

/** Values of a Secret, and passwords inside of them: of a URL, of a file in it. */
function secretValues({ data = {}, stringData }: KubeObject): string[] {
  const texts = [
    ...Object.entries(data).map(([key, base64]) => [key, Buffer.from(base64, 'base64').toString('utf8')] as const),
    ...textEntries(stringData),
  ]
  return texts
    .filter(([key]) => !PUBLIC_KEYS.test(key))
    .flatMap(([, text]) => [text, ...text.split('\n'), ...partsOf(text), ...structuredSecrets(text, secretsIn)])
    .map((value) => value.trim())
}

/** Passwords of URLs, of `password=…` connection strings and of pgpass lines. */
function partsOf(text: string): string[] {
  const urls = [...text.matchAll(/\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*:(\S*)@/gi)].map(([, password = '']) => password)
  const pairs = [...text.matchAll(/([A-Za-z0-9_.-]+)\s*[:=]\s*("[^"]*"|'[^']*'|[^\s;&]+)/g)]
    .filter(([, name = '']) => isSecretName(name))
    .map(([, , value = '']) => value.replace(/^["']|["']$/g, ''))
  const pgpass = text.split('\n').flatMap((line) => /^[^:\s]+:[^:]*:[^:]*:[^:]*:(.+)$/.exec(line)?.[1] ?? [])
  return [...urls, ...urls.map(decoded), ...pairs, ...pgpass]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Takes values out of texts, in every way that they are written in. */
function remover(values: readonly string[]): (text: string) => string {
  const written = new Set(values.filter((value) => value.length >= MIN_SECRET).flatMap(spellings))
  // The longest first: one may be part of another.
  const known = [...written].sort((a, b) => b.length - a.length)
  const short = known.filter((value) => value.length < MIN_PART)
  const words =
    short.length > 0 ? new RegExp(`(?<![A-Za-z0-9])(?:${short.map(escaped).join('|')})(?![A-Za-z0-9])`, 'g') : undefined
  const long = known.slice(0, known.length - short.length)
  return (text) => {
    const left = long.reduce((rest, value) => rest.replaceAll(value, REDACTED), text)
    return words ? left.replaceAll(words, REDACTED) : left
  }
}

function spellings(value: string): string[] {
  const bytes = Buffer.from(value)
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    ...['', '\n'].flatMap((end) => {
      const base64 = Buffer.from(value + end).toString('base64')
      return [base64, base64.replace(/=+$/, ''), Buffer.from(value + end).toString('base64url')]
    }),
    bytes.toString('hex'),
  ]
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

/** Nothing of a Secret but its outline; what is not named here does not leave. */
function outlineOf({ apiVersion, kind, metadata, type, immutable }: KubeObject): KubeObject {
  const { annotations = {}, managedFields: _, ...rest } = metadata
  const kept = Object.entries(annotations).filter(([name]) => KEPT_ANNOTATIONS.has(name))
  return {
    apiVersion,
    kind,
    metadata: { ...rest, ...(kept.length > 0 ? { annotations: Object.fromEntries(kept) } : {}) },
    ...(type === undefined ? {} : { type }),
    ...(immutable === undefined ? {} : { immutable }),
  }
}

function lengthsOf({ data = {}, stringData }: KubeObject): Record<string, string> {
  const sizes = [
    ...Object.entries(data).map(([key, base64]) => [key, Buffer.from(base64, 'base64').length] as const),
    ...textEntries(stringData).map(([key, text]) => [key, Buffer.byteLength(text)] as const),
  ]
  return Object.fromEntries(sizes.map(([key, size]) => [key, `${REDACTED}, ${size} bytes`]))
}

const textEntries = (fields: unknown) => Object.entries((fields ?? {}) as Record<string, string>)

/** managedFields are long and say little; last-applied holds a whole object, of a Secret too. */
function withoutNoise(object: KubeObject): KubeObject {
  const { managedFields: _, annotations, ...metadata } = object.metadata
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...kept } = annotations ?? {}
  return { ...object, metadata: { ...metadata, ...(annotations ? { annotations: kept } : {}) } }
}

/** Every text of an object. */
function walk(node: unknown, clean: (text: string) => string): unknown {
  if (typeof node === 'string') return clean(node)
  if (Array.isArray(node)) {
    // Arguments: what follows `--password` is one.
    return node.map((item, index) => (isSecretFlag(node[index - 1]) && isLeaf(item) ? REDACTED : walk(item, clean)))
  }
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      isSecretAt(node, key) ? hidden(value, (inner) => walk(inner, clean)) : walk(value, clean),
    ]),
  )
}

/** Every text that walk would hide, for files inside of a text. */
function secretsIn(node: unknown): string[] {
  const found: string[] = []
  const visit = (inner: unknown): unknown => {
    if (Array.isArray(inner))
      inner.forEach((item, index) => {
        if (isSecretFlag(inner[index - 1]) && isLeaf(item)) found.push(String(item))
        else visit(item)
      })
    else if (typeof inner === 'object' && inner !== null) {
      for (const [key, value] of Object.entries(inner)) {
        if (!isSecretAt(inner, key)) visit(value)
        else hidden(value, visit, (leaf) => found.push(String(leaf)))
      }
    }
    return inner
  }
  visit(node)
  return found
}

/** A field that is called like a secret, and `value` beside a `name` that is (env of a container, headers). */
function isSecretAt(node: object, key: string): boolean {
  const { name, key: other, header } = node as { name?: unknown; key?: unknown; header?: unknown }
  if (key === 'value' || key === 'values') {
    return [name, other, header].some((label) => typeof label === 'string' && isSecretName(label))
  }
  return isSecretName(key)
}

/** All leaves below a secret's name, but for fields that say where it is. */
function hidden(
  value: unknown,
  walkOn: (value: unknown) => unknown,
  tell: (leaf: unknown) => void = () => {},
): unknown {
  if (isLeaf(value)) {
    tell(value)
    return REDACTED
  }
  if (Array.isArray(value)) return value.map((item) => hidden(item, walkOn, tell))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      HARMLESS_FIELDS.has(key) ? walkOn(inner) : hidden(inner, walkOn, tell),
    ]),
  )
}

const isLeaf = (value: unknown) => typeof value === 'string' || typeof value === 'number'
const isSecretFlag = (item: unknown) =>
  typeof item === 'string' && /^--?[A-Za-z]/.test(item) && !/[=\s]/.test(item) && (isSecretName(item) || item === '-u')
