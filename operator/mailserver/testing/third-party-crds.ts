/**
 * For tests: checks an object against the CRD of somebody else as strictly as their API server would with
 * fieldValidation=Strict. The files stand beside the repository (../shared/crds) or where CRDS says; without them a
 * test says that it saw nothing.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { CustomResourceDefinition } from '../../kube/resources.ts'
import type { KubeClient, KubeObject } from '../../kube/types.ts'

interface Schema {
  type?: string
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema | boolean
  required?: string[]
  enum?: unknown[]
  pattern?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-preserve-unknown-fields'?: boolean
}
interface Definition extends KubeObject {
  spec: { group: string; names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: Schema } }[] }
}

const directory = process.env.CRDS ?? new URL('../../../../shared/crds', import.meta.url).pathname

/** Why a test that needs the files sees nothing; false where they are. */
export const noThirdPartyCrds = existsSync(directory) ? false : 'no ../shared/crds'

/** The kinds that a MailServer's objects may have, but for CloudNativePG's Cluster, which is in every test's API; and Gateways. */
const FILES =
  /cnpg-(poolers|scheduledbackups|barmancloud-objectstores)|certificates|dnsendpoints|podmonitors|prometheusrules|gateways|httproutes|tcproutes\.yaml/

/** The API serves them from now on. */
export async function applyThirdPartyCrds(client: Pick<KubeClient, 'apply'>): Promise<void> {
  for (const file of readdirSync(directory).filter((name) => FILES.test(name))) {
    for (const document of parseAllDocuments(readFileSync(`${directory}/${file}`, 'utf8'))) {
      const crd = document.toJS() as KubeObject | null
      if (crd?.kind !== 'CustomResourceDefinition') continue
      await client.apply(CustomResourceDefinition, crd, { fieldManager: 'operator-test' })
    }
  }
}

/** Undefined where the files are not there. */
export function thirdPartyCrds(): { problems(object: KubeObject): string[] } | undefined {
  if (!existsSync(directory)) return undefined
  const schemas = new Map<string, Schema>()
  for (const file of readdirSync(directory).filter(
    (name) => name.endsWith('.yaml') && !name.includes('experimental'),
  )) {
    for (const document of parseAllDocuments(readFileSync(`${directory}/${file}`, 'utf8'))) {
      const crd = document.toJS() as Definition | null
      if (crd?.kind !== 'CustomResourceDefinition') continue
      for (const { name, schema } of crd.spec.versions) {
        schemas.set(`${crd.spec.group}/${name} ${crd.spec.names.kind}`, schema.openAPIV3Schema)
      }
    }
  }
  return {
    problems({ apiVersion, kind, metadata: _, ...rest }) {
      const schema = schemas.get(`${apiVersion} ${kind}`)
      if (!schema) return [`${apiVersion} ${kind}: no such CRD`]
      const { metadata: __, apiVersion: ___, kind: ____, ...properties } = schema.properties ?? {}
      return check(
        rest,
        { ...schema, properties, required: (schema.required ?? []).filter((name) => name in rest || name === 'spec') },
        kind,
      )
    },
  }
}

function check(value: unknown, schema: Schema, path: string): string[] {
  if (schema['x-kubernetes-int-or-string']) {
    return typeof value === 'string' || Number.isInteger(value) ? [] : [`${path}: neither integer nor string`]
  }
  const actual = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value
  if (schema.type && actual !== schema.type && !(schema.type === 'number' && actual === 'integer')) {
    return [`${path}: ${actual}, wanted ${schema.type}`]
  }
  const problems: string[] = []
  if (schema.enum && !schema.enum.includes(value))
    problems.push(`${path}: ${String(value)} is not among ${schema.enum.join(', ')}`)
  if (typeof value === 'string') {
    if (schema.pattern && !new RegExp(schema.pattern).test(value))
      problems.push(`${path}: ${value} !~ ${schema.pattern}`)
    if (value.length > (schema.maxLength ?? Number.POSITIVE_INFINITY) || value.length < (schema.minLength ?? 0))
      problems.push(`${path}: length`)
  }
  if (typeof value === 'number') {
    if (value < (schema.minimum ?? Number.NEGATIVE_INFINITY) || value > (schema.maximum ?? Number.POSITIVE_INFINITY))
      problems.push(`${path}: range`)
  }
  if (Array.isArray(value)) {
    if (value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY) || value.length < (schema.minItems ?? 0))
      problems.push(`${path}: count`)
    for (const [index, item] of value.entries()) problems.push(...check(item, schema.items ?? {}, `${path}[${index}]`))
  } else if (typeof value === 'object' && value !== null) {
    problems.push(...checkFields(value as Record<string, unknown>, schema, path))
  }
  return problems
}

function checkFields(fields: Record<string, unknown>, schema: Schema, path: string): string[] {
  const problems = (schema.required ?? [])
    .filter((name) => !(name in fields))
    .map((name) => `${path}.${name}: required`)
  for (const [name, value] of Object.entries(fields)) {
    const known =
      schema.properties?.[name] ??
      (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined)
    if (known) problems.push(...check(value, known, `${path}.${name}`))
    else if (!schema['x-kubernetes-preserve-unknown-fields']) problems.push(`${path}.${name}: unknown field`)
  }
  return problems
}
