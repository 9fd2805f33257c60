/**
 * Writes docs/reference/: the fields of MailServer and MailAccount from crds/*.yaml, and those of the engine's config.json
 * from its schema. Part of `npm run crds`; reference.test.ts holds pages and sources in step.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { engineConfigSchema } from '../server/config.ts'

const repository = join(import.meta.dirname, '..')
const target = join(repository, 'docs/reference')

/** What is read of a JSON schema node (draft 2020-12 or a CRD's OpenAPI v3). */
const schemaNode = z.object({
  description: z.string().optional(),
  type: z.string().optional(),
  format: z.string().optional(),
  default: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  pattern: z.string().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  maxProperties: z.number().optional(),
  required: z.array(z.string()).optional(),
  'x-kubernetes-int-or-string': z.boolean().optional(),
  'x-kubernetes-validations': z.array(z.object({ rule: z.string(), message: z.string() })).optional(),
  get properties() {
    return z.record(z.string(), schemaNode).optional()
  },
  get items() {
    return schemaNode.optional()
  },
  get oneOf() {
    return z.array(schemaNode).optional()
  },
  get additionalProperties() {
    return z.union([z.boolean(), schemaNode]).optional()
  },
})
type SchemaNode = z.output<typeof schemaNode>

const definition = z.object({
  spec: z.object({
    names: z.object({ kind: z.string(), plural: z.string(), shortNames: z.array(z.string()) }),
    group: z.string(),
    versions: z
      .array(
        z.object({
          name: z.string(),
          additionalPrinterColumns: z.array(
            z.object({ name: z.string(), jsonPath: z.string(), priority: z.number().optional() }),
          ),
          schema: z.object({ openAPIV3Schema: schemaNode }),
        }),
      )
      .length(1),
  }),
})

interface Field {
  path: string
  node: SchemaNode
  required: boolean
}

/** File name below docs/reference/ → page. */
export function referencePages(): Map<string, string> {
  return new Map([
    ['mailserver.md', kindPage('mailservers.yaml')],
    ['mailaccount.md', kindPage('mailaccounts.yaml')],
    ['engine-config.md', configPage()],
  ])
}

function kindPage(file: string): string {
  const { spec } = definition.parse(parse(readFileSync(join(repository, 'crds', file), 'utf8')))
  const [version] = spec.versions
  if (!version) throw new Error(`crds/${file}: no version`)
  const root = version.schema.openAPIV3Schema
  const { kind, plural, shortNames } = spec.names
  const columns = version.additionalPrinterColumns.map(
    ({ name, jsonPath, priority }) => `| ${name}${priority ? ' (`-o wide`)' : ''} | \`${jsonPath}\` |`,
  )
  const parts = ['spec', 'status'].flatMap((name) => {
    const node = root.properties?.[name]
    return node ? sections(name, node) : []
  })
  return [
    `# ${kind}`,
    madeFrom(`crds/${file}`),
    `${root.description ?? ''} \`${spec.group}/${version.name}\`, ${plural}, short name \`${shortNames.join(', ')}\`; \`kubectl explain ${plural}.spec\` says the same.`,
    ...parts,
    rulesOf(root),
    `## Columns of kubectl get\n\n| column | from |\n|---|---|\n${columns.join('\n')}`,
  ].join('\n\n')
}

function configPage(): string {
  const root = schemaNode.parse(z.toJSONSchema(engineConfigSchema, { io: 'input' }))
  return [
    '# Engine configuration',
    madeFrom('server/config.ts'),
    'The operator renders this into ConfigMap `<name>-config`, key `config.json`; nobody has to write it by hand in a cluster. Secrets are never in it: it names files below `MAIL_ROOT`. Unknown fields are refused. The comments in [server/config.ts](../../server/config.ts) say what each field means.',
    ...sections('config', root).map((section) => section.replaceAll(/(?<=^## |`)config\./gm, '')),
  ].join('\n\n')
}

const madeFrom = (source: string) => `<!-- Made by \`npm run crds\` from ${source}. Do not edit. -->`

/** A section per object directly below `name`, after one with the plain fields. */
function sections(name: string, node: SchemaNode): string[] {
  const plain: Field[] = []
  const groups: string[] = []
  for (const field of childrenOf(name, node)) {
    if (isLeaf(field.node)) plain.push(field)
    else {
      groups.push(`## ${field.path}\n\n${table([field, ...fieldsBelow(field.path, field.node)])}`)
    }
  }
  return [`## ${name}\n\n${plain.length > 0 ? table(plain) : node.description}`, ...groups]
}

/** Depth first, in the schema's order. */
function fieldsBelow(path: string, node: SchemaNode): Field[] {
  return childrenOf(path, node).flatMap((field) => [field, ...fieldsBelow(field.path, field.node)])
}

function childrenOf(path: string, node: SchemaNode): Field[] {
  if (node.items) return childrenOf(`${path}[]`, node.items)
  const variants = node.oneOf ?? [node]
  return variants.flatMap((variant) =>
    Object.entries(variant.properties ?? {}).map(([name, child]) => ({
      path: `${path}.${name}`,
      node: child,
      required: variant.required?.includes(name) ?? false,
    })),
  )
}

const isLeaf = (node: SchemaNode) => childrenOf('', node).length === 0

function table(fields: Field[]): string {
  const rows = fields.map(({ path, node, required }) => {
    const fallback = node.default === undefined ? (required ? 'required' : '') : code(JSON.stringify(node.default))
    return `| \`${path}\` | ${typeOf(node)} | ${fallback} | ${boundsOf(node)} | ${cell(node.description ?? '')} |`
  })
  return ['| field | type | default | bounds | meaning |', '|---|---|---|---|---|', ...rows].join('\n')
}

function typeOf(node: SchemaNode): string {
  if (node['x-kubernetes-int-or-string']) return 'quantity'
  if (node.items) return `${typeOf(node.items)}[]`
  if (typeof node.additionalProperties === 'object') return `map of ${typeOf(node.additionalProperties)}`
  if (node.const !== undefined) return code(JSON.stringify(node.const))
  return node.oneOf ? 'object' : (node.type ?? 'any')
}

function boundsOf(node: SchemaNode): string {
  const inner = node.items ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined)
  const bounds = [
    node.enum?.map((value) => code(String(value))).join(', '),
    range(node.minimum ?? above(node.exclusiveMinimum), node.maximum, ''),
    range(node.minLength, node.maxLength, ' characters'),
    range(node.minItems, node.maxItems, ' items'),
    range(undefined, node.maxProperties, ' keys'),
    node.pattern && node.pattern.length <= 80 && !node['x-kubernetes-int-or-string'] && code(node.pattern),
    node.format && !['int64', 'double'].includes(node.format) && node.format,
    inner && boundsOf(inner) && `each: ${boundsOf(inner)}`,
  ]
  return bounds.filter(Boolean).join('; ')
}

const above = (bound: number | undefined) => (bound === undefined ? undefined : bound + 1)

function range(low: number | undefined, high: number | undefined, unit: string): string | undefined {
  const top = high === Number.MAX_SAFE_INTEGER ? undefined : high
  if (low === undefined && top === undefined) return undefined
  if (top === undefined) return `at least ${low}${unit}`
  return low === undefined ? `at most ${top}${unit}` : `${low} to ${top}${unit}`
}

/** CEL rules, wherever they stand. */
function rulesOf(root: SchemaNode): string {
  const rows: string[] = []
  const collect = (path: string, node: SchemaNode) => {
    for (const { rule, message } of node['x-kubernetes-validations'] ?? []) {
      rows.push(`| \`${path || 'the object'}\` | ${cell(message)} | ${code(rule)} |`)
    }
    for (const field of childrenOf(path, node)) collect(field.path.replace(/^\./, ''), field.node)
  }
  collect('', root)
  const head =
    '## Rules across fields\n\nChecked by the API server (CEL); `oldSelf` rules hold for changes.\n\n| at | message | rule |\n|---|---|---|'
  return [head, ...rows].join('\n')
}

/** A pipe ends a table cell, also within code. */
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const code = (text: string) => `\`\` ${cell(text)} \`\``.replace(/^`` ([^`]*) ``$/, '`$1`')

if (import.meta.main) {
  mkdirSync(target, { recursive: true })
  for (const [name, content] of referencePages()) writeFileSync(join(target, name), `${content}\n`)
}
