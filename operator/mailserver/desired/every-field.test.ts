/**
 * Every field of a MailServer's spec does something: changed, it changes an object, or it is listed here with what it
 * changes instead. The schema itself is walked, so that a new field cannot be forgotten.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { parseMailServerSpec } from '../../api/mail-server.ts'
import { mailServerSpec } from '../../api/mail-server-spec.ts'
import { contextOf, EVERYTHING, MINIMAL } from '../testing/context.ts'
import { desiredObjects } from './objects.ts'

/** What is not seen in an object that is made of spec and facts alone. */
const ELSEWHERE: Record<string, string> = {
  deletionPolicy: 'what becomes of data at the end (data-ownership.ts)',
  'database.cnpg.readyTimeout': 'the deadline of DatabaseReady',
  'database.secretRef.name': 'where the database’s URL is read (observe.ts)',
  'database.secretRef.key': 'where the database’s URL is read (observe.ts)',
  'dkim.algorithms.0': 'which keys are made (dkim-keys.ts)',
  'dkim.rotation.interval': 'when a rotation begins (dkim/rotation.ts)',
  'dns.verify': 'whether records are looked up',
  'storage.s3.versioning': 'how the bucket is configured',
  'storage.s3.encryption': 'how the bucket is configured',
}

interface Schema {
  type?: string
  enum?: unknown[]
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema | boolean
}
interface Leaf {
  /** "domains.0.dmarc.policy"; a value of a map is called "key". */
  path: string
  schema: Schema
}
/** JSON, by the names of its fields and the numbers of its items. */
type Fields = { [name: string]: unknown }

function leavesOf(schema: Schema, path: string[] = []): Leaf[] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([name, inner]) => leavesOf(inner, [...path, name]))
  }
  if (schema.items) return leavesOf(schema.items, [...path, '0'])
  if (typeof schema.additionalProperties === 'object') return leavesOf(schema.additionalProperties, [...path, 'key'])
  return [{ path: path.join('.'), schema }]
}

/** Of every form that a field wants. */
const TEXTS = [
  ...['changed', 'changed.example', 'changed@example.org', 'https://changed.example', 'mailto:changed@example.org'],
  ...['7m', '7d', '7Gi', '192.0.2.7', '192.0.2.128/25', 's3://changed/here/', '7 7 7 * * *', 'ip4:192.0.2.7', 'here/'],
  ...['777h', '2026-01-01T00:00:00Z', '0/7777777'],
]

/** Values to try: the first that the schema takes is the change. */
function candidates({ enum: allowed, type }: Schema, before: unknown): unknown[] {
  if (allowed) return allowed.filter((value) => value !== before)
  if (type === 'boolean') return [before !== true]
  const number = typeof before === 'number' ? before : 0
  if (type === 'integer' || type === 'number') return [number + 1, 100_000]
  return TEXTS
}

/** A copy of `fields` with another value at the path; what is missing on the way is made. */
function withChange(fields: Fields, path: string[], value: unknown): Fields {
  const [name = '', ...rest] = path
  const before = fields[name] ?? (rest[0] === '0' ? [] : {})
  const inner = rest.length === 0 ? value : withChange(before as Fields, rest, value)
  const copy = Array.isArray(fields) ? [...fields] : { ...fields }
  return Object.assign(copy, { [name]: inner }) as Fields
}

const valueAt = (fields: unknown, path: string[]): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Fields | undefined)?.[name], fields)

function changed({ path, schema }: Leaf, spec: Fields): Fields {
  const names = path.split('.')
  for (const value of candidates(schema, valueAt(spec, names))) {
    const result = withChange(spec, names, value)
    try {
      parseMailServerSpec(result)
      return result
    } catch {} // not of this form
  }
  assert.fail(`nothing to try for ${path}`)
}

const objectsOf = (spec: Fields) => {
  const { image } = spec as { image?: string }
  return JSON.stringify(desiredObjects(contextOf(spec, image ? { image } : {})))
}

// Both kinds of database and of image, which only the API refuses: each has fields.
const imageCatalogRef = { kind: 'ImageCatalog', name: 'postgres', major: 18 }
const database = { cnpg: { ...EVERYTHING.database?.cnpg, imageCatalogRef }, secretRef: { name: 'pg' } }
const spec = parseMailServerSpec({ ...MINIMAL, ...EVERYTHING, database }) as Fields
for (const leaf of leavesOf(z.toJSONSchema(mailServerSpec, { io: 'input', unrepresentable: 'any' }) as Schema)) {
  const elsewhere = ELSEWHERE[leaf.path]
  test(`spec.${leaf.path} changes ${elsewhere ?? 'an object'}`, () => {
    const same = objectsOf(changed(leaf, spec)) === objectsOf(spec)
    assert.equal(same, elsewhere !== undefined)
  })
}
